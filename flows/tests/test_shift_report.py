"""How altered images are shown: in the report, in the terminal, and on the card."""

from __future__ import annotations

from pathlib import Path

import pytest
from gate_cases import shift_figures
from pictures import picture
from report_pages import read
from sample_runs import NODES_OF_SHIFT, sample_run

from pupila.shift.evaluation import Disagreement
from pupila_flows.registry.card_shift import shift_lines
from pupila_flows.report.terminal import shift_rows
from pupila_flows.results import ArtifactVerdict, Entry, GateResult, RunResult


@pytest.fixture
def run(tmp_path: Path) -> RunResult:
    images = [picture(tmp_path / f"{row}.png", (150, 90, 60), seed=row) for row in range(30)]
    run = sample_run(tmp_path, NODES_OF_SHIFT, images=images)
    values = {"pupil": 0.45, "pupil-int8": 0.4, "control": 0.3}
    disagreements = tuple(
        Disagreement(row=row, probability=0.1, reference=0.8) for row in range(30)
    )
    entries = tuple(
        entry.model_copy(
            update={
                "shift": shift_figures(
                    *(values[entry.name], values[entry.name] - 0.1, values[entry.name] + 0.1),
                    validation=0.5,
                    images=30,
                ).model_copy(update={"reference": "vgg16", "disagreements": disagreements})
            }
        )
        if entry.name in values
        else entry
        for entry in run.entries
    )
    return run.model_copy(update={"entries": entries})


def test_the_report_shows_values_curves_and_pictures_of_the_worst_family(
    run: RunResult, tmp_path: Path
):
    page = read(run, tmp_path)
    assert "Altered images: fidelity to the teacher" in page.text
    assert "hue 0.100" in page.text
    assert "Where they differ most under hue" in page.text
    labels = [picture["aria-label"] or "" for picture in page.all("svg") if "aria-label" in picture]
    curves = [label for label in labels if label.startswith("Fidelity under")]
    assert len(curves) == 2, "one pupil in two formats, two families; a control has no curves"
    assert curves[0] == "Fidelity under hue: none 0.99, mild 0.20, middle 0.10, strong 0.00"
    shown = [image["alt"] or "" for image in page.all("img")]
    assert len([alt for alt in shown if alt == "The same image under hue"]) == 6
    assert "pupil-int8, by family and severity" in page.text, "of its formats the lowest"


def test_pictures_are_of_what_the_gate_checked(run: RunResult, tmp_path: Path):
    verdict = ArtifactVerdict(entry="pupil", verdict="fail", findings=())
    page = read(
        run.model_copy(update={"gate": GateResult(verdict="fail", artifacts=(verdict,))}), tmp_path
    )
    assert "pupil, by family and severity" in page.text
    assert "pupil-int8, by family and severity" not in page.text


def test_curves_end_at_the_severity_that_was_asked_about(run: RunResult, tmp_path: Path):
    def asked_by_the_gate(entry: Entry) -> Entry:
        if entry.shift is None:
            return entry
        families = [
            family.model_copy(update={"steps": (family.middle,)}) for family in entry.shift.families
        ]
        shift = entry.shift.model_copy(update={"families": tuple(families)})
        return entry.model_copy(update={"shift": shift})

    entries = tuple(map(asked_by_the_gate, run.entries))
    page = read(run.model_copy(update={"entries": entries}), tmp_path)
    labels = [picture["aria-label"] or "" for picture in page.all("svg") if "aria-label" in picture]
    assert "Fidelity under hue: none 0.99, middle 0.10" in labels
    assert "From unaltered to middle" in page.text
    assert "The gate uses the middle severity only" in page.text


def test_the_report_stands_where_an_image_is_gone(run: RunResult, tmp_path: Path):
    Path(run.test_images[3]).unlink()
    page = read(run, tmp_path)
    assert "Where they differ most" not in page.text
    assert "Fidelity" in page.text


def test_a_run_that_was_not_asked_has_no_such_section(tmp_path: Path):
    page = read(sample_run(tmp_path, NODES_OF_SHIFT), tmp_path)
    assert "Altered images" not in page.text


def test_terminal_and_card_have_the_value_and_the_worst_family(run: RunResult):
    rows = {row["altered images"]: row for row in shift_rows(run)}
    assert rows["pupil-int8"] == {
        "altered images": "pupil-int8",
        "teacher": "vgg16",
        "fidelity": "0.400 (0.300–0.500)",
        "on validation": "0.500",
        "worst family": "hue 0.100",
        "unaltered": "0.990",
    }
    task = run.data.methods
    card = "\n".join(
        shift_lines([entry for entry in run.entries if entry.name == "pupil-int8"], task)
    )
    assert card.startswith("## Altered images")
    assert "| `pupil-int8` | `vgg16` | 0.400 (0.300–0.500) | hue, 0.100 | 0.990 |" in card
    assert shift_lines([entry for entry in run.entries if entry.name == "vgg16"], task) == []
