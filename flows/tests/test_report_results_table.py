"""The table of results: figures, thresholds, runtimes, and the reason where there is no figure."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from report_pages import Page, read
from sample_runs import CONTROL, FOUR, PUPIL, VGG, Node, sample_run

from pupila.artifact import Threshold
from pupila.evaluation import Download, Latency, Measurement, RuntimeCheck, Startup
from pupila.plugin import CLASSIFICATION
from pupila.task import methods_of
from pupila_flows.report import formatting
from pupila_flows.report.predictions import read_predictions
from pupila_flows.report.sections.headline import BADGE
from pupila_flows.report.terminal import evaluation_lines, result_rows, runtime_rows
from pupila_flows.results import Entry, RuntimeResult

CLASSES = methods_of(CLASSIFICATION)


def test_a_threshold_that_ships_is_told_and_the_others_are_told_apart(tmp_path: Path) -> None:
    run = sample_run(tmp_path, [VGG, replace(PUPIL, inputs=("vgg16",))])
    plain = read(run, tmp_path).text
    assert "Sensitivity at" not in plain and "If a model ships" not in plain
    teacher, pupil = run.entries
    assert pupil.evaluation and pupil.evaluation.metrics.point
    shipped = pupil.evaluation.metrics.point.model_copy(
        update={"threshold": 0.668, "chosen_on": "105 validation images"}
    )
    metrics = pupil.evaluation.metrics.model_copy(update={"shipped": shipped})
    evaluation = pupil.evaluation.model_copy(update={"metrics": metrics})
    entries = (teacher, pupil.model_copy(update={"evaluation": evaluation}))
    text = read(run.model_copy(update={"entries": entries}), tmp_path).text
    assert "at 0.668, shipped" in text
    assert "If a model ships a threshold, its accuracy and mistakes are at that threshold" in text
    assert "Other thresholds were chosen on 107 test images (the same images: optimistic)" in text
    assert "at 0.668 (105 validation images)" in text


def test_sensitivity_never_stands_without_the_specificity_that_was_measured(
    page: Page, tmp_path: Path
) -> None:
    """Above cells whose specificity was 60 to 79 % stood "Sensitivity at 85 % specificity"."""
    result = sample_run(tmp_path, [VGG, PUPIL])
    for row, entry in zip(result_rows(result), result.entries, strict=True):
        assert entry.evaluation and entry.evaluation.metrics.point
        point = entry.evaluation.metrics.point
        assert row["sensitivity"].startswith(f"{point.sensitivity.value:.3f} (")
        assert row["specificity"].startswith(f"{point.specificity.value:.3f} (")
        assert row["at threshold"] == f"{point.threshold:.3f}, chosen on 107 test images"
    shown = re.findall(r"sensitivity \d.{0,45}", page.text)
    together = re.compile(r"sensitivity [\d.]+\s%\s\(?[\d.]+–[\d.]+\)?,? specificity \d")
    assert shown
    assert [text for text in shown if not together.match(text)] == []


def test_a_report_says_whether_its_intervals_know_of_patients(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL])
    assert "treat every image as a different patient" in read(result, tmp_path).text
    entries: list[Entry] = []
    for entry in result.entries:
        assert entry.evaluation
        metrics = entry.evaluation.metrics.model_copy(update={"patients": 41})
        evaluation = entry.evaluation.model_copy(update={"metrics": metrics})
        entries.append(entry.model_copy(update={"evaluation": evaluation}))
    text = read(result.model_copy(update={"entries": tuple(entries)}), tmp_path).text
    assert "Intervals are by patient: there are 41." in text


def test_four_classes_without_a_positive_one_keep_their_auc(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL, CONTROL], classes=FOUR, positive="")
    page = read(result, tmp_path)
    assert "No class is named as positive" in page.text
    assert result.entries[0].evaluation and result.entries[0].evaluation.metrics.auc
    assert formatting.score(result.entries[0].evaluation.metrics.auc.value) in page.text
    assert not [svg for svg in page.all("svg") if svg.get("class") == "roc"]


def test_an_entry_with_an_error_shows_the_reason_in_its_row(tmp_path: Path) -> None:
    reason = "TF.js refused the graph: FusedConv2D only supports rank-1 bias."
    broken = Node("web", "export-tfjs", ("vgg16",), error=reason, evaluated=False)
    page = read(sample_run(tmp_path, [VGG, broken]), tmp_path)
    assert f"✕ failed {reason}" in page.text
    assert [tag for tag in page.all("g") if tag.get("class") == "node failed"]


def test_what_was_never_trained_has_a_size_and_a_speed_and_no_accuracy(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL])
    teacher, pupil = result.entries
    assert pupil.evaluation
    measurement = Measurement(
        **{name: getattr(pupil.evaluation, name) for name in Measurement.model_fields}
    )
    bare = pupil.model_copy(update={"evaluation": None, "measurement": measurement})
    page = read(result.model_copy(update={"entries": (teacher, bare)}), tmp_path)
    assert "not measured untrained" in page.text
    assert len([tag for tag in page.all("svg") if tag.get("class") == "latency"]) == 2
    (_, row) = result_rows(result.model_copy(update={"entries": (teacher, bare)}))
    assert row["accuracy"] == "not measured: untrained" and float(row["MB"]) > 0


def test_a_file_whose_zeros_take_as_much_room_as_before_says_so(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL])
    teacher, pupil = result.entries
    assert pupil.record
    sparse = pupil.record.model_copy(update={"sparsity": 0.8})
    entries = (teacher, pupil.model_copy(update={"record": sparse}))
    text = read(result.model_copy(update={"entries": entries}), tmp_path).text
    assert text.count("of its weights are 0: the file stores them, gzip does not") == 1


def test_every_runtime_has_a_row_with_its_figures_or_the_reason_that_there_are_none(
    tmp_path: Path,
) -> None:
    size = Download(size_bytes=200_000, gzip_bytes=150_000, brotli_bytes=140_000)
    check = RuntimeCheck(
        runtime="LiteRT.js 2.5.3, wasm, Chromium 156",
        cpu="x86-64",
        images=50,
        agreement=CLASSES.agreement("litert", np.eye(2), np.array([[0.98, 0.02], [0, 1]])),
        latency=Latency(median_ms=12.5, p95_ms=14, repeats=50, threads=2),
        peak_memory_bytes=None,
        startup=Startup(cold_start_ms=430, first_inference_ms=21, model=size, runtime=size),
    )
    refused = "FusedConv2D only supports rank-1 bias"
    runtimes = (
        RuntimeResult(runtime="litertjs-wasm", threads=2, check=check),
        RuntimeResult(runtime="tfjs-wasm", threads=None, failure=refused),
    )
    result = sample_run(tmp_path, [VGG, PUPIL])
    teacher, pupil = result.entries
    shown = pupil.model_copy(update={"runtimes": runtimes, "error": f"tfjs-wasm: {refused}"})
    result = result.model_copy(update={"entries": (teacher, shown)})
    page = read(result, tmp_path)
    for words in ("In every runtime", "430 ms", "12.5 ms", "0.02", "140 KB", "✕ does not run"):
        assert words in page.text
    assert BADGE not in page.text  # what fails somewhere is not the one to take
    first, second = runtime_rows(result)
    assert (first["threads"], first["ready ms"], first["failure"]) == ("2", "430", "")
    assert second["failure"] == f"does not run: {refused}"


def test_groups_have_a_table_where_there_are_any(tmp_path: Path, page: Page) -> None:
    assert "By site" in page.text and "north 54 images" in page.text
    assert "By site" not in read(sample_run(tmp_path, [VGG], groups=False), tmp_path).text


def test_agreement_is_said_to_be_of_the_most_probable_class(page: Page) -> None:
    assert "“Same class” compares the most probable classes" in page.text


def test_answers_of_a_model_are_those_at_the_threshold_that_it_ships(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL])
    teacher, pupil = result.entries
    assert pupil.record
    shipped = Threshold(positive="glaucoma", value=0.0, chosen_on="everything")
    record = pupil.record.model_copy(update={"threshold": shipped})
    changed = result.model_copy(
        update={"entries": (teacher, pupil.model_copy(update={"record": record}))}
    )
    answers = read_predictions(changed, tmp_path)
    every = range(len(answers.truths))
    assert {answers.answer("pupil", row) for row in every} == {"glaucoma"}
    assert answers.correct("pupil").sum() == (answers.truths == 0).sum()
    assert {answers.answer("vgg16", row) for row in every} == {"glaucoma", "normal"}


def test_an_evaluation_says_which_images_chose_its_threshold_and_how_many(tmp_path: Path) -> None:
    (entry, *_) = sample_run(tmp_path, [VGG, PUPIL]).entries
    assert entry.evaluation and entry.evaluation.metrics.point
    lines = evaluation_lines(entry.evaluation, 0.85, CLASSES)
    assert re.match(r"glaucoma: sensitivity .*, specificity .* at 0\.\d{3}\.$", lines[0])
    assert lines[1].startswith("The threshold was chosen for a specificity of")
    assert lines[1].endswith("on 107 test images (the same images: optimistic).")
    point = entry.evaluation.metrics.point.model_copy(
        update={"chosen_on": "validation", "images": 105}
    )
    metrics = entry.evaluation.metrics.model_copy(update={"operating_points": (point,)})
    locked = entry.evaluation.model_copy(update={"metrics": metrics})
    assert evaluation_lines(locked, 0.85, CLASSES)[1].endswith(
        "on 105 validation images (other images)."
    )
    shipped = metrics.model_copy(update={"shipped": point})
    ships = entry.evaluation.model_copy(update={"metrics": shipped})
    assert evaluation_lines(ships, 0.85, CLASSES)[1].startswith(
        "The threshold ships with the model"
    )


def test_images_that_share_one_answer_are_warned_of_in_the_row(tmp_path: Path) -> None:
    run = sample_run(tmp_path, [VGG, replace(PUPIL, inputs=("vgg16",))])
    assert "share the highest probability" not in read(run, tmp_path).text
    teacher, pupil = run.entries
    assert pupil.evaluation
    metrics = pupil.evaluation.metrics.model_copy(update={"tied": 0.5})
    evaluation = pupil.evaluation.model_copy(update={"metrics": metrics})
    entries = (teacher, pupil.model_copy(update={"evaluation": evaluation}))
    text = read(run.model_copy(update={"entries": entries}), tmp_path).text
    said = "54 of 107 test images share the highest probability"
    assert said in text
    assert evaluation_lines(evaluation, 0.85, CLASSES)[-1].startswith(said)
