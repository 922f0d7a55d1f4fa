"""The table of results: figures, thresholds, runtimes, and the reason where there is no figure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from report_pages import Page, read
from sample_runs import CONTROL, FOUR, PUPIL, VGG, Node, sample_run

from pupila.evaluation import Download, Latency, Measurement, Startup, Trial
from pupila.metrics import agreement
from pupila_flows.report import formatting
from pupila_flows.report.sections.headline import BADGE
from pupila_flows.report.terminal import result_rows, trial_rows
from pupila_flows.results import Tried


def test_a_threshold_that_ships_is_told_and_the_others_are_told_apart(tmp_path: Path) -> None:
    run = sample_run(tmp_path, [VGG, replace(PUPIL, inputs=("vgg16",))])
    plain = read(run, tmp_path).text
    assert "Sensitivity at 85" in plain and "Where a model ships" not in plain
    teacher, pupil = run.entries
    assert pupil.evaluation and pupil.evaluation.metrics.point
    shipped = pupil.evaluation.metrics.point.model_copy(
        update={"threshold": 0.668, "chosen_on": "105 validation images"}
    )
    metrics = pupil.evaluation.metrics.model_copy(update={"shipped": shipped})
    evaluation = pupil.evaluation.model_copy(update={"metrics": metrics})
    entries = (teacher, pupil.model_copy(update={"evaluation": evaluation}))
    text = read(run.model_copy(update={"entries": entries}), tmp_path).text
    assert "Sensitivity at 85" not in text
    assert "at the threshold that it ships, 0.668" in text
    assert (
        "Where a model ships a threshold, it is that. Other thresholds, for a specificity" in text
    )
    assert "Shipped threshold 0.668 (105 validation images)" in text


def test_four_classes_without_a_positive_one_keep_their_auc(tmp_path: Path) -> None:
    result = sample_run(tmp_path, [VGG, PUPIL, CONTROL], classes=FOUR, positive="")
    page = read(result, tmp_path)
    assert "No class is named as positive" in page.text
    assert result.entries[0].evaluation and result.entries[0].evaluation.metrics.auc
    assert formatting.score(result.entries[0].evaluation.metrics.auc.value) in page.text
    assert not [svg for svg in page.all("svg") if svg.get("class") == "roc"]


def test_an_entry_with_an_error_shows_the_reason_in_its_row(tmp_path: Path) -> None:
    reason = "TF.js refused the graph: FusedConv2D only supports rank-1 bias."
    broken = Node("web", "export-tfjs", ("vgg16",), error=reason, judged=False)
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
    trial = Trial(
        runtime="LiteRT.js 2.5.3, wasm, Chromium 156",
        cpu="x86-64",
        images=50,
        agreement=agreement("litert", np.eye(2), np.array([[0.98, 0.02], [0, 1]])),
        latency=Latency(median_ms=12.5, p95_ms=14, repeats=50, threads=2),
        peak_memory_bytes=None,
        startup=Startup(cold_start_ms=430, first_inference_ms=21, model=size, runtime=size),
    )
    refused = "FusedConv2D only supports rank-1 bias"
    tried = (
        Tried(runtime="litertjs-wasm", threads=2, trial=trial),
        Tried(runtime="tfjs-wasm", threads=None, failure=refused),
    )
    result = sample_run(tmp_path, [VGG, PUPIL])
    teacher, pupil = result.entries
    shown = pupil.model_copy(update={"tried": tried, "error": f"tfjs-wasm: {refused}"})
    result = result.model_copy(update={"entries": (teacher, shown)})
    page = read(result, tmp_path)
    for words in ("In every runtime", "430 ms", "12.5 ms", "0.02", "140 KB", "✕ does not run"):
        assert words in page.text
    assert BADGE not in page.text  # what fails somewhere is not the one to take
    first, second = trial_rows(result)
    assert (first["threads"], first["ready ms"], first["failure"]) == ("2", "430", "")
    assert second["failure"] == f"does not run: {refused}"


def test_groups_have_a_table_where_there_are_any(tmp_path: Path, page: Page) -> None:
    assert "By site" in page.text and "north 54 images" in page.text
    assert "By site" not in read(sample_run(tmp_path, [VGG], groups=False), tmp_path).text


def test_it_is_said_which_figures_no_threshold_changes(page: Page) -> None:
    assert "of the most probable class, whatever threshold a model ships" in page.text
