"""How the report, the headline and the terminal tell what the gate said."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_runs import SPECIFICITY, Node, gate_images, sample_run

from pupila.testing import draw_images
from pupila_flows.gate.decision import decide
from pupila_flows.gate.inputs import Case, GateInputs, GateModel
from pupila_flows.recipe.gate import GateSection, Limits, Margins
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.page import write_report
from pupila_flows.report.predictions import read_predictions
from pupila_flows.report.sections.headline import headline
from pupila_flows.report.terminal import NO_GATE, gate_lines, gate_rows
from pupila_flows.results import RunResult


@pytest.fixture
def run_with_gate(tmp_path: Path) -> RunResult:
    """A run with a gate, over images that are there."""
    images = sorted(draw_images(tmp_path / "images", images=10).rglob("*.png"))
    vgg = Node("vgg16", "keras-h5", (), 0.3, "keras")
    nodes = [
        vgg,
        Node("float", "export-tflite", ("vgg16",), 0.01),
        Node("int8", "quantize-int8", ("float",), 9.0),
    ]
    run = sample_run(tmp_path, nodes, images=images)
    by_name = {
        entry.name: GateModel(name=entry.name, evaluation=entry.evaluation)
        for entry in run.entries
        if entry.evaluation
    }
    inputs = GateInputs(
        specificity=SPECIFICITY,
        section=GateSection(
            margins=Margins(accuracy=0.2), fidelity=None, limits=Limits(size_bytes=5_000_000)
        ),
        cases=tuple(
            Case(entry=name, made="tried so", artifact=by_name[name], teacher=by_name["vgg16"])
            for name in ("float", "int8")
        ),
        classes=run.data.classes,
        positive="glaucoma",
        test=gate_images(run),
        validation=gate_images(run),
    )
    return run.model_copy(update={"gate": decide(inputs)})


def test_the_report_shows_verdicts_intervals_and_pictures(run_with_gate: RunResult, tmp_path: Path):
    page = write_report(run_with_gate, tmp_path).read_text()
    gate = page[page.index('id="gate"') : page.index('id="results"')]
    assert run_with_gate.gate and [
        artifact.verdict for artifact in run_with_gate.gate.artifacts
    ] == [
        "pass",
        "fail",
    ]
    assert "✓ pass" in gate and "✗ fail" in gate
    assert gate.count('class="forest pass"') == 3
    assert gate.count('class="forest fail"') == 1
    assert "tried so" in gate
    assert "data:image/jpeg" in gate
    assert (
        'id="gate"'
        not in write_report(
            run_with_gate.model_copy(update={"gate": None, "sweep": {"int8.x": (1,)}}), tmp_path
        ).read_text()
    )
    without = write_report(run_with_gate.model_copy(update={"gate": None}), tmp_path).read_text()
    assert "nothing of this run may be published" in without


def test_the_terminal_says_what_did_not_pass_and_what_to_try(run_with_gate: RunResult):
    assert run_with_gate.gate
    rows = gate_rows(run_with_gate.gate)
    assert [row["verdict"] for row in rows] == ["PASS", "", "", "", "FAIL", "", "", ""]
    lines = "\n".join(gate_lines(run_with_gate))
    assert lines.startswith("Gate: FAIL")
    assert "  int8 (tried so): fail" in lines
    assert "    try: In this run" in lines or "    try: No other step" in lines
    plain = run_with_gate.model_copy(update={"gate": None})
    assert gate_lines(plain) == ["Gate: none in the recipe."]
    publishing = plain.model_copy(update={"recipe_text": "name: night\npublish: {}\n"})
    assert gate_lines(publishing) == [NO_GATE]


def test_what_may_have_seen_the_test_images_is_named(run_with_gate: RunResult, tmp_path: Path):
    assert run_with_gate.gate
    said = "Whether vgg16 and version 1 (anchor) saw test images in training is unknown"
    assert not any("in training is unknown" in line for line in gate_lines(run_with_gate))
    assert "in training is unknown" not in write_report(run_with_gate, tmp_path).read_text()
    said += ": no record says which images they, or what they were made from, were trained on"
    untraced = ("vgg16", "version 1 (anchor)")
    gate = run_with_gate.gate.model_copy(update={"untraced": untraced})
    run_with_gate = run_with_gate.model_copy(update={"gate": gate})
    assert any(line.strip().startswith(said) for line in gate_lines(run_with_gate))
    assert said in write_report(run_with_gate, tmp_path).read_text()


def test_the_headline_says_what_the_gate_says(run_with_gate: RunResult, tmp_path: Path):
    def title(run: RunResult) -> str:
        verdict = headline(run, Lineage.of(run.entries), read_predictions(run, tmp_path))
        assert (verdict.keeps, verdict.pupil is None) == (passes, False)
        return verdict.title

    assert run_with_gate.gate
    passes = True
    assert title(run_with_gate) == (
        "float is about as large as vgg16 and passes the release gate; the run does not, for int8 "
        "(fail)"
    )
    worst = run_with_gate.gate.artifacts[1].model_copy(update={"entry": "float"})
    gate = run_with_gate.gate.model_copy(update={"artifacts": (worst,), "best": "float"})
    passes = False
    assert title(run_with_gate.model_copy(update={"gate": gate})) == (
        "Nothing passes the release gate; float comes closest"
    )
    page = write_report(run_with_gate, tmp_path).read_text()
    assert "smallest that passes the gate" in page and "shown to lose at most 5" not in page
