"""What the gate says about predictions on altered images."""

from __future__ import annotations

from pathlib import Path

import pytest
from gate_cases import ACCURACY, GateModels, gate_inputs, scores_with_errors, shift_figures

from pupila.shift.evaluation import ShiftEvaluation
from pupila_flows.gate.decision import decide
from pupila_flows.recipe.gate import GateSection, Limits, Margins
from pupila_flows.results import Finding, GateResult, Verdict


def fidelity(result: GateResult) -> Finding | None:
    (artifact,) = result.artifacts
    findings = [finding for finding in artifact.findings if finding.condition == "fidelity"]
    return findings[0] if findings else None


def decided(
    folder: Path, shift: ShiftEvaluation | None, section: GateSection | None = None
) -> GateResult:
    gate_model = GateModels(folder)
    artifact = gate_model("int8", scores_with_errors(4), shift=shift)
    section = section or GateSection(margins=ACCURACY)
    return decide(
        gate_inputs(section, artifact, gate_model("teacher", scores_with_errors(4), shift=None))
    )


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict", "words"),
    [
        (0.95, 0.86, 0.98, "pass", "it is within the limit, at least 0.850"),
        (0.90, 0.85, 0.95, "pass", "it is within the limit"),
        (0.88, 0.82, 0.93, "inconclusive", "about 96 test images of each family"),
        (0.83, 0.75, 0.89, "inconclusive", "about 216 test images of each family"),
        (0.75, 0.68, 0.81, "fail", "0.100 less than required: at least 0.850"),
    ],
)
def test_the_lower_end_of_the_interval_decides(
    tmp_path: Path, value: float, low: float, high: float, verdict: Verdict, words: str
):
    result = decided(tmp_path, shift_figures(value, low, high))
    finding = fidelity(result)
    assert finding is not None
    assert (finding.verdict, finding.value, finding.limit, finding.against) == (
        verdict,
        value,
        0.85,
        "teacher",
    )
    assert words in finding.text
    assert "The worst family is hue, with" in finding.text
    assert result.verdict == verdict


def test_a_failure_says_what_to_try_and_what_does_better_on_validation_images(tmp_path: Path):
    gate_model = GateModels(tmp_path)
    ours = gate_model(
        "int8", scores_with_errors(4), shift=shift_figures(0.5, 0.4, 0.6, validation=0.52)
    )
    inputs = gate_inputs(
        GateSection(margins=ACCURACY), ours, gate_model("teacher", scores_with_errors(4))
    )
    rival = gate_model(
        "deeper", scores_with_errors(4), shift=shift_figures(0.9, 0.8, 0.95, validation=0.91)
    )
    finding = fidelity(decide(inputs.model_copy(update={"rivals": (ours, rival)})))
    assert finding is not None
    assert finding.advice.startswith(
        "In this run, deeper (fidelity 0.910) does better on altered validation images. "
    )
    assert "a student made of its teacher's first layers" in finding.advice


def test_without_answers_nothing_is_shown(tmp_path: Path):
    result = decided(tmp_path, None)
    finding = fidelity(result)
    assert finding is not None
    assert result.verdict == finding.verdict == "inconclusive"
    assert "predictions on altered images are missing" in finding.text


@pytest.mark.parametrize(
    ("section", "is_asked"),
    [
        (GateSection(), True),
        (GateSection(margins=Margins(), limits=Limits(size_bytes=9)), True),
        (GateSection(margins=ACCURACY, fidelity=None), False),
    ],
)
def test_it_is_asked_unless_a_recipe_says_that_it_is_not(
    tmp_path: Path, section: GateSection, is_asked: bool
):
    result = decided(tmp_path, shift_figures(0.9, 0.85, 0.95), section)
    assert (fidelity(result) is not None) is is_asked


def test_a_model_without_a_teacher_is_asked_nothing(tmp_path: Path):
    gate_model = GateModels(tmp_path)
    section = GateSection(margins=Margins(), limits=Limits(size_bytes=10**6))
    result = decide(
        gate_inputs(section, gate_model("int8", scores_with_errors(4), shift=None), None)
    )
    assert fidelity(result) is None
    assert result.verdict == "pass"


def test_the_floor_is_told_in_words():
    assert GateSection().words.endswith("fidelity from 0.85 by default on altered images")
    assert GateSection(fidelity=0.9).words.endswith("fidelity from 0.9 on altered images")
    assert "fidelity" not in GateSection(fidelity=None).words
