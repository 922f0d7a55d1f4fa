"""A filter with its own classes in a whole run: it screens the images, and is part of the site."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import run_pupila

from pupila import Artifact, PupilaError
from pupila.artifact import Threshold
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.spec import InputSpec
from pupila.store import Store
from pupila.testing import draw_images, ignore_progress, keras_artifact, read_images, run_step
from pupila.views import AS_IS
from pupila_flows.results import RunResult
from pupila_site import page

pytestmark = pytest.mark.long

RECIPE = """\
name: filtered
seed: 3
data:
  path: data.csv
  screen: {teacher: filter, accepts: fundus}
  expectations: {minimum_images: 2}
teachers:
  big: {path: BIG, unproven: true}
  filter: {path: FILTER}
steps:
  pupil:
    use: train
    exclude: {source: [there]}
    with: {student: conv-32-64-8, size: 32, epochs: 1, augmentation: {views: 1}}
  lite: {use: export-tflite, from: pupil}
  big-lite: {use: export-tflite, from: big}
  page: {use: site, from: [lite, filter], with: {filter: fundus}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filter-job")
    dataset = read_images(draw_images(folder / "drawn", images=6), folder / "cache")
    with (folder / "data.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "split", "source"])
        columns = (dataset.frame[name].tolist() for name in ("path", "label", "split"))
        for path, label, split in zip(*columns, strict=True):
            source = "there" if int(Path(path).stem) % 3 == 0 else "here"
            writer.writerow([path, label, split, source])
    return folder


@pytest.fixture(scope="module")
def image_filter(folder: Path) -> Artifact:
    """A filter that doubts a third of the images at the threshold that it ships."""
    store = Store(folder / "elsewhere" / "store")
    dataset = read_images(folder / "drawn", folder / "cache")
    source = keras_artifact(store, ("fundus", "other"), seed=5)
    plain = run_step(
        installed().step("export-tflite"),
        _plain("export-tflite"),
        [source],
        folder / "run",
        store=store,
    ).artifact
    (probabilities,) = Predictions(folder / "asked").in_own_order(
        plain, dataset, AS_IS, ignore_progress
    )
    third, after = sorted(probabilities[:, 0].tolist())[11:13]
    threshold = Threshold(
        positive="fundus", value=(third + after) / 2, chosen_on="these very images"
    )
    with store.draft() as draft:
        (draft / "model.tflite").write_bytes(plain.file(".tflite").read_bytes())
        fields = {**dict(plain.record), "threshold": threshold}
        del fields["files"]
        return store.add(draft, **fields)


def _plain(name: str) -> Any:
    return installed().step(name).config()


@pytest.fixture(scope="module")
def result(folder: Path, image_filter: Artifact) -> RunResult:
    try:
        page.PAGES.find()
    except PupilaError as error:
        pytest.skip(str(error))
    big = keras_artifact(
        Store(folder / "elsewhere" / "store"), input=InputSpec(height=32, width=32)
    )
    text = RECIPE.replace("BIG", str(big.path)).replace("FILTER", str(image_filter.path))
    (folder / "recipe.yaml").write_text(text)
    done = run_pupila(folder, "run", "recipe.yaml")
    (folder / "printed.txt").write_text(done.stdout)
    (folder / "progress.txt").write_text(done.stderr)
    run = folder / ".pupila" / "runs" / "filtered" / "latest"
    return RunResult.model_validate_json((run / "result.json").read_text())


def _report(folder: Path) -> str:
    run = folder / ".pupila" / "runs" / "filtered" / "latest"
    return (run / "report.html").read_text()


def test_images_that_the_filter_doubts_are_told_and_stop_nothing(
    folder: Path, result: RunResult, image_filter: Artifact
):
    check = result.data.checks[-1]
    assert check.name == "Every image looks like 'fundus' to 'filter'"
    assert (check.severity, check.passed, len(check.images)) == ("warning", False, 12)
    assert check.observed.startswith("12 of 36 images have a probability below ")
    assert (
        image_filter.record.threshold
        and f"{image_filter.record.threshold.value:g};" in check.observed
    )
    assert check.name in (folder / "printed.txt").read_text()
    assert check.images[0] in _report(folder)


def test_what_the_filter_doubts_is_told_before_anything_is_trained(folder: Path, result: RunResult):
    progress = (folder / "progress.txt").read_text()
    check = result.data.checks[-1]
    reported, trained = progress.index(check.name), progress.index("pupil done")
    assert reported < trained
    assert Path(check.images[0]).name in progress[reported:trained]


def test_the_filter_is_listed_and_not_evaluated(
    folder: Path, result: RunResult, image_filter: Artifact
):
    entries = {entry.name: entry for entry in result.entries}
    assert (
        entries["filter"].artifact == image_filter.digest
        and entries["filter"].record == image_filter.record
    )
    assert entries["filter"].evaluation is None and entries["filter"].error is None
    assert entries["big"].evaluation and entries["lite"].evaluation
    reason = "has other classes or another task: not evaluated"
    assert _report(folder).count(reason) >= 2
    begins, _, _ = reason.partition(": ")  # the rest is on the next line of the table
    assert begins in (folder / "printed.txt").read_text()


def test_the_site_has_the_threshold_that_the_filter_ships(
    folder: Path, result: RunResult, image_filter: Artifact
):
    (site,) = (entry.artifact for entry in result.entries if entry.name == "page")
    assert site and image_filter.record.threshold
    said = json.loads((folder / ".pupila/store/objects" / site / "site.json").read_text())
    assert said["filter"]["threshold"] == image_filter.record.threshold.value


def test_the_site_shows_what_the_run_measured_on_the_test_images(folder: Path, result: RunResult):
    entries = {entry.name: entry for entry in result.entries}
    evaluation, site = entries["lite"].evaluation, entries["page"].artifact
    assert evaluation and evaluation.metrics.point and site
    (listed,) = json.loads((folder / ".pupila/store/objects" / site / "site.json").read_text())[
        "models"
    ]
    assert listed["images"] == evaluation.metrics.images == 12
    assert listed["threshold"] == evaluation.metrics.point.threshold
    specificity = evaluation.metrics.point.specificity.model_dump(include={"value", "low", "high"})
    assert listed["specificity"] == specificity


def test_a_step_excludes_some_images_and_is_evaluated(folder: Path, result: RunResult):
    entries = {entry.name: entry for entry in result.entries}
    pupil = entries["pupil"]
    assert pupil.excluded == {"source": ("there",)}
    assert pupil.record and entries["page"].record
    assert pupil.record.origin.dataset != entries["page"].record.origin.dataset
    assert pupil.evaluation and pupil.evaluation.metrics.images == 12
    assert set(pupil.evaluation.groups["source"]) == {"here", "there"}
    assert "without source there" in _report(folder)
