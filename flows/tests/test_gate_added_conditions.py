"""Limits that packages add: evaluated, worded and drawn as the gate's own."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from gate_cases import GateModels, gate_inputs, only_finding, scores_with_errors
from test_gate_recipe import RECIPE, written

from pupila.testing import plugin_installed
from pupila_flows.gate.conditions import condition_of
from pupila_flows.gate.decision import decide
from pupila_flows.gate.inputs import GateModel
from pupila_flows.jobs.gate import AskGate
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.gate import GateSection, Limits, Margins
from pupila_flows.recipe.source import RecipeError
from pupila_flows.report.sections.gate import plot
from pupila_flows.report.terminal import gate_rows
from pupila_flows.results import Finding, GateResult
from pupila_flows.workspace import Workspace

PLUGIN = """
import numpy as np

from pupila import GateCondition, PupilaError, hookimpl
from pupila.intervals import share


@hookimpl
def pupila_conditions():
    yield GateCondition(
        name="energy",
        summary="Energy of one image, from its time",
        implementation=f"{__name__}:energy",
        title="energy per image",
        unit="mJ",
        advice="Use a slower processor.",
    )
    yield GateCondition(
        name="sure",
        summary="Fraction of images with an answer above 0.8",
        implementation=f"{__name__}:sure",
        title="sure answers",
        at_least=True,
        has_interval=True,
    )
    yield GateCondition(
        name="same_errors",
        summary="Fraction of the errors that are the teacher's too",
        implementation=f"{__name__}:same_errors",
        title="errors of the teacher",
        at_least=True,
        needs_teacher=True,
        tasks=frozenset({"classification"}),
    )


def energy(model):
    return 2.5 * model.evaluation.cost.latency.median_ms


def sure(model):
    return share(model.answers.max(axis=1) > 0.8, model.patients)


def same_errors(model):
    wrong, theirs = (
        known.decided.argmax(axis=1) != known.truths for known in (model, model.teacher)
    )
    if not wrong.any():
        raise PupilaError("it makes no error.")
    return np.float32((wrong & theirs).sum() / wrong.sum())
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path) -> Generator[None]:
    with plugin_installed(tmp_path / "path", "energy-for-pupila", "their_limits", PLUGIN):
        yield


@pytest.fixture
def models(tmp_path: Path) -> GateModels:
    return GateModels(tmp_path)


def asked(ours: GateModel, teacher: GateModel | None = None, **limits: float) -> GateResult:
    section = GateSection(
        margins=Margins(),
        limits=Limits(**limits),  # pyright: ignore[reportArgumentType]
        fidelity=None,
    )
    return decide(gate_inputs(section, ours, teacher))


def finding(ours: GateModel, teacher: GateModel | None = None, **limits: float) -> Finding:
    return only_finding(asked(ours, teacher, **limits))


def test_an_exact_value_passes_within_its_limit_and_fails_beyond(models: GateModels):
    ours = models("int8", scores_with_errors(4))
    assert finding(ours, energy=12.5).text == (
        "Energy per image is 12.500 mJ: it is within the limit, at most 12.500 mJ."
    )
    result = asked(ours, energy=10.0)
    failed = only_finding(result)
    assert (failed.verdict, failed.value, failed.limit) == ("fail", 12.5, 10.0)
    assert "2.500 mJ more than allowed: at most 10.000 mJ" in failed.text
    assert failed.advice.endswith("Use a slower processor.")
    assert gate_rows(result)[0]["condition"] == "energy per image"
    assert 'class="bar"' in plot(failed)


@pytest.mark.parametrize(
    ("limit", "verdict"), [(0.5, "pass"), (0.99, "fail"), (0.96, "inconclusive")]
)
def test_the_whole_interval_of_an_estimate_decides(models: GateModels, limit: float, verdict: str):
    scores = scores_with_errors(0)
    scores[:10] = 0.5
    known = finding(models("int8", scores), sure=limit)
    assert known.verdict == verdict and known.value == pytest.approx(0.95)
    assert known.interval and "interval" in known.text
    assert 'class="span"' in plot(known)


def test_the_teacher_is_given_where_it_is_needed(models: GateModels):
    ours, teacher = models("int8", scores_with_errors(8)), models("big", scores_with_errors(4))
    passed = finding(ours, teacher, same_errors=0.4)
    assert (passed.verdict, passed.value, passed.against) == ("pass", 0.5, "big")
    alone = finding(ours, same_errors=0.4)
    assert alone.verdict == "inconclusive" and "the teacher is missing" in alone.text


def test_what_a_condition_cannot_say_is_inconclusive_with_its_reason(models: GateModels):
    ours = models("int8", scores_with_errors(0))
    known = finding(ours, ours, same_errors=0.4)
    assert known.verdict == "inconclusive"
    assert known.text == "Errors of the teacher could not be compared: it makes no error."
    memory = finding(ours, peak_memory_bytes=1e6)
    assert memory.verdict == "inconclusive" and "does not report its peak memory" in memory.text


def test_a_value_of_another_kind_is_refused_with_the_name_of_the_package(
    tmp_path: Path, models: GateModels
):
    ours = models("int8", scores_with_errors(4))
    broken = PLUGIN.replace(
        "return share(model.answers.max(axis=1) > 0.8, model.patients)", "return 1"
    )
    with plugin_installed(tmp_path / "broken", "energy-for-pupila", "their_limits", broken):
        known = finding(ours, sure=0.5)
    assert "condition 'sure' of energy-for-pupila returned 1: expected an Estimate" in known.text


def test_the_condition_of_core_comes_in_by_the_same_door(models: GateModels):
    ours = models("int8", scores_with_errors(4))
    cost = ours.evaluation.cost.model_copy(update={"peak_memory_bytes": 3_000_000})
    evaluation = ours.evaluation.model_copy(update={"cost": cost})
    known = finding(ours.model_copy(update={"evaluation": evaluation}), peak_memory_bytes=2e6)
    assert "Peak memory is 3,000,000 bytes: 1,000,000 bytes more than allowed" in known.text
    assert condition_of("energy").title == "energy per image"


def test_another_version_asks_the_gate_again(tmp_path: Path, models: GateModels):
    ours, workspace = models("a", scores_with_errors(3)), Workspace(tmp_path / "workspace")
    section = GateSection(limits=Limits(energy=3.0))  # pyright: ignore[reportCallIssue]
    inputs = gate_inputs(section, ours, ours)
    before = AskGate.of(workspace, inputs).key
    assert AskGate.of(workspace, inputs).key == before
    with plugin_installed(tmp_path / "new", "energy-for-pupila", "their_limits", PLUGIN, "1.1"):
        assert AskGate.of(workspace, inputs).key != before


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("{limits: {energy: 3, sure: 0.5}}", None),
        (
            "{limits: {enrgy: 3}}",
            "gate.limits.enrgy is not a known field. Did you mean 'energy'? Known: size_bytes, "
            "latency_ms, agreement, accuracy, energy, peak_memory_bytes, same_errors, sure.",
        ),
        ("{limits: {energy: low}}", "gate.limits.energy is 'low': must be a number"),
        (
            "{steps: [alone], margins: {}, limits: {same_errors: 0.5}}",
            "'alone' has no teacher behind it to be compared with",
        ),
    ],
)
def test_a_recipe_names_installed_conditions(tmp_path: Path, gate: str, words: str | None):
    recipe = written(tmp_path, RECIPE.replace("GATE", gate))
    if words is None:
        assert read_plan(recipe).recipe.gate
        return
    with pytest.raises(RecipeError) as caught:
        read_plan(recipe)
    (problem,) = caught.value.problems
    assert problem.line == 11 and words in problem.message


def test_a_condition_without_code_is_reported_with_its_line(tmp_path: Path):
    broken = PLUGIN.replace(
        'implementation=f"{__name__}:energy"', 'implementation="their_limits:eenergy"'
    )
    with plugin_installed(tmp_path / "broken", "energy-for-pupila", "their_limits", broken):
        recipe = written(tmp_path, RECIPE.replace("GATE", "{limits: {energy: 3}}"))
        with pytest.raises(RecipeError) as caught:
            read_plan(recipe)
    (problem,) = caught.value.problems
    assert problem.line == 11
    assert (
        "The code of condition 'energy' of energy-for-pupila 1.0 cannot be found" in problem.message
    )
