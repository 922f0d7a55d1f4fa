"""What a reader can do with the report: read counts, curves, calibration, and predictive values."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_pages import Page, read
from sample_runs import CONTROL, FOUR, HOSTILE, PUPIL, VGG, Node, sample_run

from pupila.exact import exact
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.sections.predictive import predictive_table
from pupila_flows.results import RunResult

HISTORY = {
    "loss": [0.7, 0.4, 0.2],
    "validation_loss": [0.6, 0.35, 0.5],
    "accuracy": [0.6, 0.8, 0.9],
    "validation_accuracy": [0.7, 0.9, 0.85],
}
TRAINED = {"best_epoch": 2, "epochs": 3, "history": HISTORY}
ROUNDS = {
    "curve": [{"parameters": n, "validation_accuracy": 0.9} for n in (9000, 5000, 3000)],
    "round": 2,
    "history": [HISTORY, HISTORY | {"validation_fidelity": [0.2, 0.3, 0.8]}],
}


def _labels(page: Page, start: str) -> list[str]:
    labels = [str(svg.get("aria-label")) for svg in page.all("svg")]
    return [label for label in labels if label.startswith(start)]


def test_the_head_counts_the_images_of_the_positive_class_that_are_missed(
    run: RunResult, page: Page
) -> None:
    pupil = next(entry for entry in run.entries if entry.name == "pupil-dynamic")
    assert pupil.evaluation and pupil.evaluation.metrics.point
    images = run.test_labels.count(0)
    sensitivity = pupil.evaluation.metrics.point.sensitivity.value
    missed = images - exact(sensitivity, images) * images
    head = page.text[: page.text.index("Time per image")]
    assert f"“glaucoma” images {missed} of {images} missed teacher " in head
    assert "others taken for it, teacher" in head


def test_nothing_is_missed_where_no_class_is_positive(tmp_path: Path) -> None:
    text = read(sample_run(tmp_path, [VGG, PUPIL], classes=FOUR, positive=""), tmp_path).text
    assert " missed" not in text and "PPV" not in text
    assert "How far probabilities can be believed" in text


@pytest.mark.parametrize(
    ("measured", "drawn"),
    [
        (TRAINED, ["Loss of pupil by epoch: training 0.7 to 0.2, validation 0.6 to 0.5; "]),
        (ROUNDS, ["Loss of pupil, round 1 by epoch", "Loss of pupil, round 2 by epoch"]),
        (TRAINED | {"history": {"accuracy": [0.5]}}, []),
        (TRAINED | {"history": HISTORY | {"loss": [0.5]}}, []),
        (TRAINED | {"history": [HISTORY]}, []),
    ],
)
def test_every_training_that_a_plugin_measured_has_its_curves(
    tmp_path: Path, measured: dict[str, object], drawn: list[str]
) -> None:
    page = read(sample_run(tmp_path, [VGG, replace(PUPIL, measured=measured)]), tmp_path)
    losses = _labels(page, "Loss of")
    assert [loss[: len(start)] for loss, start in zip(losses, drawn, strict=True)] == drawn
    accuracies = [label for label in _labels(page, "Accuracy") if "by epoch" in label]
    assert len(accuracies) == len(drawn)
    assert ("Learning curves" in page.text) == bool(drawn)


def test_the_epoch_that_was_kept_is_marked_by_fidelity_where_that_chose(tmp_path: Path) -> None:
    page = read(sample_run(tmp_path, [VGG, replace(PUPIL, measured=ROUNDS)]), tmp_path)
    assert "round 1 epoch 2 of 3 kept" in page.text and "round 2 epoch 3 of 3 kept" in page.text
    assert "and (dashed) fidelity to the teacher on altered validation images" in page.text


def test_trainings_with_other_seeds_have_curves_too(tmp_path: Path) -> None:
    again = replace(PUPIL, name="pupil#8", repeats="pupil", seed=8, measured=TRAINED)
    nodes = [VGG, replace(PUPIL, measured=TRAINED), again]
    assert "With the other seeds 1 training" in read(sample_run(tmp_path, nodes), tmp_path).text


def test_pupil_and_teacher_have_a_reliability_diagram_with_all_images(page: Page) -> None:
    assert [label.split(":")[0] for label in _labels(page, "Reliability")] == [
        "Reliability diagram of pupil-dynamic",
        "Reliability diagram of vgg16",
    ]


def test_predictive_values_are_those_of_the_test_images_and_say_so(
    run: RunResult, page: Page
) -> None:
    shown = Lineage.of(run.entries).evaluated()[:1]
    table = predictive_table(shown, run.data.classes)
    assert table and table.positives == run.test_labels.count(0)
    (row,) = table.rows
    answers = np.load(shown[0].evaluation.probabilities)[:, 0]
    point = shown[0].evaluation.metrics.point
    assert point
    positive, truth = answers >= point.threshold, np.array(run.test_labels) == 0
    assert row.ppv.value == pytest.approx(truth[positive].mean())
    assert row.npv.value == pytest.approx((~truth[~positive]).mean())
    (typed,) = [tag for tag in page.all("input") if tag.get("id") == "prevalence"]
    assert float(str(typed["value"])) == pytest.approx(100 * table.prevalence, abs=0.01)
    assert "That is not the prevalence of a clinic" in page.text
    assert [tag["for"] for tag in page.all("label")] == [
        *("results-filter", "results-sort", "prevalence")
    ]


def test_every_row_of_the_results_has_its_numbers_for_sorting_and_csv(tmp_path: Path) -> None:
    hostile = Node(f"u{HOSTILE}", "distill", ("vgg16",), evaluated=False, error="No.")
    result = sample_run(tmp_path, [VGG, CONTROL, hostile])
    page = read(result, tmp_path)
    records = [
        json.loads(str(row["data-record"])) for row in page.all("tr") if "data-record" in row
    ]
    assert [record["name"] for record in records] == ["vgg16", "control", f"u{HOSTILE}"]
    assert len({tuple(record) for record in records}) == 1
    assert result.entries[0].evaluation
    assert records[0]["test_accuracy"] == result.entries[0].evaluation.metrics.accuracy.value
    assert records[2]["test_accuracy"] is None and records[2]["size_bytes"] is None
    assert {str(head["data-sort"]) for head in page.all("th") if "data-sort" in head} <= {
        *records[0]
    }


def test_each_picture_opens_by_a_link_to_itself_and_closes_by_one_to_its_card(
    tmp_path: Path,
) -> None:
    paths = [tmp_path / f"{row}.png" for row in range(40)]
    for path in paths:
        Image.new("RGB", (20, 20), "red").save(path)
    page = read(sample_run(tmp_path, [VGG, replace(PUPIL, noise=3.0)], images=paths), tmp_path)
    ids = [str(attributes["id"]) for _, attributes in page.tags if "id" in attributes]
    targets = [
        str(link["href"]) for link in page.all("a") if link.get("class") in ("open", "close")
    ]
    assert len(ids) == len(set(ids))
    assert len(targets) == 2 * len(page.all("img")) > 0
    assert {target.removeprefix("#") for target in targets} <= set(ids)
