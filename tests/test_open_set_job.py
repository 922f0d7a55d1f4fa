"""Filters in a whole run: trained with hard negatives, evaluated on near misses and corruptions."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import run_pupila
from PIL import Image

from pupila.testing import draw_images
from pupila_flows.data.open_set.corruptions import ALTERATIONS
from pupila_flows.results import Entry, RunResult

pytestmark = pytest.mark.long

RECIPE = """\
name: guarded
seed: 3
data:
  path: images
  expectations: {minimum_images: 2}
  hard_negatives: {label: triangle, images: 10}
steps:
  pupil:
    use: train
    with: {student: conv-32-64-8, size: 32, epochs: 1, augmentation: {views: 1}}
  lite: {use: export-tflite, from: pupil}
  set: {use: threshold, from: lite, with: {positive: square}}
evaluate:
  latency_repeats: 5
  open_set: {accepts: square, path: near}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("open-set-job")
    draw_images(folder / "images", images=6)
    random = np.random.default_rng(0)
    for group in ("noise", "stripes"):
        (folder / "near" / group).mkdir(parents=True)
        for number in range(4):
            pixels = random.integers(0, 255, (32, 1 if group == "stripes" else 32, 3), np.uint8)
            image = Image.fromarray(np.broadcast_to(pixels, (32, 32, 3)).copy())
            image.save(folder / "near" / group / f"{number}.png")
    stolen = next((folder / "images" / "train" / "triangle").iterdir())
    (folder / "near" / "stolen").mkdir()
    shutil.copy(stolen, folder / "near" / "stolen")
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


def _run(folder: Path) -> tuple[RunResult, str]:
    done = run_pupila(folder, "run", "recipe.yaml")
    last = folder / ".pupila" / "runs" / "guarded" / "latest"
    return RunResult.model_validate_json((last / "result.json").read_text()), done.stderr


@pytest.fixture(scope="module")
def first(folder: Path) -> tuple[RunResult, str]:
    return _run(folder)


def _entries(result: RunResult) -> dict[str, Entry]:
    return {entry.name: entry for entry in result.entries}


def test_hard_negatives_are_counted_among_the_training_images_alone(
    first: tuple[RunResult, str], folder: Path
):
    result, printed = first
    trained = len(list((folder / "images/train/triangle").iterdir()))
    assert result.data.counts["train"]["triangle"] == trained + 10
    assert result.data.counts["train"]["square"] == trained
    for split in ("validation", "test"):
        assert len(set(result.data.counts[split].values())) == 1
    assert result.data.checks[-1].observed.startswith("10 training images of 'triangle' were made")
    assert "10 training images of 'triangle' were made" in " ".join(printed.split())


def test_every_artifact_is_evaluated_as_a_filter(first: tuple[RunResult, str]):
    entries = _entries(first[0])
    for name in ("pupil", "lite", "set"):
        evaluation = entries[name].evaluation
        assert evaluation and evaluation.open_set
        gate = evaluation.open_set
        near = {negative.name: negative for negative in gate.negatives if negative.near_miss}
        assert {name: negative.images for name, negative in near.items()} == {
            "all": 9,
            "noise": 4,
            "stripes": 4,
            "stolen": 1,
        }
        assert near["stolen"].trained and not near["noise"].trained
        assert {corruption.name for corruption in gate.corrupted} == set(ALTERATIONS)
        assert {corruption.images for corruption in gate.corrupted} == {gate.accepted.images}


def test_the_threshold_that_ships_is_the_one_that_decides(first: tuple[RunResult, str]):
    entries = _entries(first[0])
    lite, chosen = entries["lite"].evaluation, entries["set"].evaluation
    record = entries["set"].record
    assert lite and lite.open_set and chosen and chosen.open_set and record and record.threshold
    assert (lite.open_set.threshold, lite.open_set.chosen_on) == (0.5, None)
    assert chosen.open_set.threshold == record.threshold.value
    assert chosen.open_set.chosen_on == record.threshold.chosen_on


def test_only_the_evaluation_is_repeated_when_the_near_misses_change(
    folder: Path, first: tuple[RunResult, str]
):
    again, printed = _run(folder)
    assert "Nothing has changed since the run" in printed
    (folder / "near" / "noise" / "0.png").unlink()
    changed, printed = _run(folder)
    assert "set unchanged" in printed and "alter-images unchanged" in printed
    assert "evaluate-set done" in printed
    assert (
        again.entries[-1].artifact == changed.entries[-1].artifact == first[0].entries[-1].artifact
    )
    evaluation = changed.entries[-1].evaluation
    assert evaluation and evaluation.open_set
    assert {negative.name: negative.images for negative in evaluation.open_set.negatives}[
        "noise"
    ] == 3
