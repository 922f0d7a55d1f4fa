"""How external sets are shown: in the report, in the terminal, on the card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import picture
from sample_runs import BINARY, HOSTILE, NODES_OF_SHIFT, sample_run

from pupila.evaluation import Estimate
from pupila.external import ExternalEvaluation, ExternalMetrics, ImageDisagreement
from pupila.fidelity import fidelity, logits_of
from pupila.metrics import metrics_of
from pupila_flows.registry.card_external import external_lines
from pupila_flows.report import external
from pupila_flows.report.page import render
from pupila_flows.results import (
    Entry,
    ExternalResult,
    ExternalSet,
    RunResult,
    SkippedImage,
)

RANDOM = np.random.default_rng(5)
Floats = NDArray[np.float64]
TRUTH: NDArray[np.int64] = np.arange(60) % 2
TEACHER: Floats = 1 / (1 + np.exp(-(1.5 - 3 * TRUTH + RANDOM.normal(0, 1, 60))))


def _figures(first: Floats, *, labelled: bool, teacher: bool) -> ExternalMetrics:
    scores, theirs = (np.stack([scores, 1 - scores], axis=1) for scores in (first, TEACHER))
    colours = RANDOM.uniform(0, 255, (60, 3))
    return ExternalMetrics(
        images=60,
        metrics=metrics_of(scores, TRUTH, BINARY, "glaucoma", 0.85) if labelled else None,
        fidelity=None
        if teacher
        else fidelity(
            "vgg16",
            *(logits_of(scores), logits_of(theirs)),
            scores.argmax(axis=1) == theirs.argmax(axis=1),
            colours=colours,
        ),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def run(folder: Path) -> RunResult:
    """Two places, one without labels; one model failed there."""
    shown = picture(folder / "there.png", (150, 90, 60))
    lost = Estimate(value=-0.17, low=-0.23, high=-0.12, method="-")

    def with_external(entry: Entry) -> Entry:
        teacher = entry.kind == "teacher"
        first = TEACHER if teacher else np.clip(TEACHER + RANDOM.normal(0, 0.2, 60), 0.01, 0.99)
        disagreements = ImageDisagreement(
            path=str(shown),
            truth=None,
            answer="normal",
            other="glaucoma",
            probability=0.123,
            other_probability=0.987,
        )
        results = {
            name: ExternalEvaluation(
                figures=_figures(first, labelled=labelled, teacher=teacher),
                disagreements=() if teacher else (disagreements,),
                probabilities="-",
            )
            for name, labelled in (("clinic-b", True), ("clinic-c", False))
        }
        b = ExternalResult(
            name="clinic-b",
            evaluation=results["clinic-b"],
            differences={} if teacher else {"auc": lost},
        )
        c = ExternalResult(name="clinic-c", evaluation=results["clinic-c"])
        if entry.name == "control":
            c = ExternalResult(name="clinic-c", error=f"It crashed: {HOSTILE}")
        return entry.model_copy(update={"external": (b, c)})

    run = sample_run(folder, NODES_OF_SHIFT)
    sets = (
        ExternalSet(
            name="clinic-b",
            path="there.csv",
            fingerprint="-",
            images=60,
            patients=30,
            counts={"glaucoma": 30, "normal": 30},
            skipped=(SkippedImage(path=HOSTILE, reason="its format is not known"),),
        ),
        ExternalSet(
            name="clinic-c", path="c", fingerprint="-", images=60, patients=None, counts=None
        ),
    )
    entries = tuple(with_external(entry) if entry.evaluation else entry for entry in run.entries)
    return run.model_copy(update={"entries": entries, "external": sets})


@pytest.fixture(scope="module")
def shown(run: RunResult, folder: Path) -> str:
    html = render(run, folder)
    section = html[html.index('id="external"') :]
    return section[: section.index("</section>")].replace("\u00a0", " ")


def test_the_report_shows_each_place_with_its_models_and_pictures(shown: str):
    assert "60 images (30 glaucoma, 30 normal), of 30 patients." in shown
    assert "60 images, without labels." in shown
    assert "difference −0.170 (−0.230 to −0.120)" in shown
    assert "Correlation of logits" in shown and "Explained by colour" in shown
    assert "0.123" in shown and "0.987" in shown and "data:image/jpeg" in shown
    assert "<script>alert" not in shown and "1 file cannot be read" in shown
    assert "It crashed" in shown


def test_a_run_without_other_places_has_no_such_section(folder: Path):
    assert 'id="external"' not in render(sample_run(folder, NODES_OF_SHIFT), folder)


def test_the_terminal_has_a_row_for_each_place_and_model(run: RunResult):
    rows = external.external_rows(run)
    by_name = {(row["external set"], row["name"]): row for row in rows}
    pupil = by_name["clinic-b", "pupil"]
    assert pupil["AUC minus teacher's"] == "−0.170 (−0.230 to −0.120)"
    assert pupil["correlation"] and pupil["by colour"] and pupil["teacher by colour"]
    assert by_name["clinic-c", "pupil"]["AUC"] == ""
    assert by_name["clinic-b", "vgg16"]["correlation"] == ""
    assert len({tuple(row) for row in rows}) == 1
    assert by_name["clinic-c", "control"]["failure"].startswith("It crashed")
    first, second, legend = external.external_lines(run)
    assert first.startswith("clinic-b: 60 images of 30 patients (30 glaucoma, 30 normal); 1 file")
    assert second == "clinic-c: 60 images (no labels)."
    assert "correlation" in legend


def test_the_card_shows_published_models_and_no_paths(run: RunResult):
    entries = [entry for entry in run.entries if entry.name == "pupil-int8"]
    text = "\n".join(external_lines(entries, run))
    assert text.startswith("## External sets")
    assert "### clinic-b" in text and "### clinic-c" in text
    assert "pupil-int8" in text and "vgg16 " not in text
    assert "alert" not in text
    assert external_lines([], run) == []
