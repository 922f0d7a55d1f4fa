"""A chain in a whole run: evaluated against a chain of teachers, passed by the gate, published."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import run_pupila
from PIL import Image, ImageDraw

from pupila.store import Store
from pupila.testing import colour_teacher, disc_locator
from pupila_flows.results import RunResult

pytestmark = pytest.mark.long

RECIPE = """\
name: whole
data: {path: images.csv, expectations: {minimum_images: 2, near_duplicate_distance: 0}}
teachers:
  find: {path: find}
  big: {path: big}
steps:
  lite: {use: export-tflite, from: big}
  reference: {use: chain, from: [find, big], with: {size: 128}}
  chain: {use: chain, from: [find, lite], with: {size: 128}, against: reference}
external:
  clinic-b: {path: elsewhere.csv}
shift: {families: [gamma, rotation], images: 15}
gate:
  steps: [chain]
  fidelity: 0.9
  margins: {accuracy: 0.3}
publish: {to: registry}
evaluate: {latency_repeats: 5}
"""
COLUMNS = ("path", "label", "split", "x", "y", "half_width", "half_height")
COLOURS = {"blue": (200, 200, 255), "red": (255, 200, 200)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain-job")
    store = Store(folder / "elsewhere")
    models = {"find": disc_locator(store, nowhere=20.0), "big": colour_teacher(store, slope=5.0)}
    for name, model in models.items():
        shutil.copytree(model.path, folder / name)
    random = np.random.default_rng(3)
    own = [
        _draw(folder, f"{split}-{label}-{number}", label, split, random)
        for split in ("train", "validation", "test")
        for label in COLOURS
        for number in range(8)
    ]
    other = [_draw(folder, f"other-{number}", "", "test", random) for number in range(8)]
    for name, rows in (("images", own), ("elsewhere", other)):
        with (folder / f"{name}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([COLUMNS, *rows])
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


def _draw(
    folder: Path, name: str, label: str, split: str, random: np.random.Generator
) -> tuple[str, ...]:
    """Draw a photograph of a disc; return its line of the CSV."""
    width, height = 192, 128
    down, across = np.mgrid[:height, :width] / 160
    waves = np.sin(random.uniform(2, 9) * down + random.uniform(2, 9) * across + len(label))
    shade = 30 + 25 * waves[..., np.newaxis]  # no two images have one perceptual hash
    image = Image.fromarray((shade + random.integers(0, 30, (height, width, 3))).astype(np.uint8))
    x, y = random.uniform(0.2, 0.8, 2) * (width, height)
    half = 0.09 * width
    colour = COLOURS[label or "red"]
    ImageDraw.Draw(image).ellipse((x - half, y - half, x + half, y + half), colour)
    image.save(folder / f"{name}.png")
    return (f"{name}.png", label, split, *(f"{number:.2f}" for number in (x, y, half, half)))


def test_a_chain_is_evaluated_on_whole_photographs_and_published(folder: Path):
    run_pupila(folder, "run", "recipe.yaml")
    last = folder / ".pupila" / "runs" / "whole" / "latest"
    result = RunResult.model_validate_json((last / "result.json").read_text())
    entries = {entry.name: entry for entry in result.entries}
    chain, reference = entries["chain"], entries["reference"]
    assert (chain.reference, reference.reference) == ("reference", "big")
    assert chain.evaluation and reference.evaluation
    assert chain.evaluation.metrics.accuracy.value == 1.0
    assert chain.evaluation.agreement and chain.evaluation.agreement.reference == "reference"
    locator, classifier = chain.evaluation.stages
    assert (locator.images, locator.turned_away, classifier.images) == (16, 0, 16)
    assert locator.metrics and locator.metrics.accuracy.value == 1.0
    (there,) = chain.external
    assert there.evaluation and there.evaluation.stages[0].metrics
    assert chain.shift and chain.shift.reference == "reference"
    assert result.gate and result.gate.verdict == "pass"
    assert [artifact.entry for artifact in result.gate.artifacts] == ["chain"]
    assert result.publication and not result.withheld
    page = (last / "report.html").read_text()
    assert 'id="stages"' in page


def test_a_second_run_makes_nothing_again(folder: Path):
    run_pupila(folder, "run", "recipe.yaml")
    last = folder / ".pupila" / "runs" / "whole" / "latest"
    result = RunResult.model_validate_json((last / "result.json").read_text())
    assert all(entry.cached for entry in result.entries)


def test_artifacts_are_found_by_name_and_can_be_teachers_of_another_run(folder: Path):
    again = """\
name: again
data: {path: images.csv, expectations: {minimum_images: 2, near_duplicate_distance: 0}}
teachers:
  find: {path: find}
  lite: {path: .pupila/runs/whole/latest/lite}
steps:
  chain: {use: chain, from: [find, lite], with: {size: 128}}
evaluate: {latency_repeats: 5}
"""
    (folder / "again.yaml").write_text(again)
    run_pupila(folder, "run", "again.yaml")
    runs = folder / ".pupila" / "runs"
    chain = runs / "again" / "latest" / "chain"
    assert chain.resolve() == (runs / "whole" / "latest" / "chain").resolve()
    assert (chain / "chain.json").is_file()
