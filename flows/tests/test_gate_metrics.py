"""Margins for metrics that packages add: verdicts, words, drawings, and the key of the verdict."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from gate_cases import (
    IMAGES,
    LABELS,
    RULE,
    SPLIT,
    GateModels,
    gate_inputs,
    only_finding,
    scores_with_errors,
)

from pupila.testing import plugin_installed
from pupila_flows.gate.decision import decide
from pupila_flows.gate.inputs import GateModel
from pupila_flows.jobs.gate import AskGate
from pupila_flows.recipe.gate import GateSection, Margins
from pupila_flows.report.sections.gate import plot
from pupila_flows.report.terminal import gate_rows
from pupila_flows.results import Finding, GateResult
from pupila_flows.workspace import Workspace

PLUGIN = """
import numpy as np

from pupila import Metric, hookimpl


@hookimpl
def pupila_metrics():
    yield Metric(
        name="benefit",
        summary="Mean benefit of the decisions",
        implementation=f"{__name__}:benefit",
        title="benefit",
        decided=True,
        bounds=(-5.0, 1.0),
    )


def benefit(answers, truths, classes):
    benefits = np.array([[1.0, 0.0], [-5.0, 1.0]])
    return benefits[truths, answers.argmax(axis=1)]
"""


@pytest.fixture
def models(tmp_path: Path) -> GateModels:
    return GateModels(tmp_path)


@pytest.fixture
def benefit(tmp_path: Path) -> Generator[None]:
    with plugin_installed(tmp_path / "path", "benefits", "their_benefits", PLUGIN):
        yield


def asked(ours: GateModel, teacher: GateModel, **margins: float) -> GateResult:
    section = GateSection(margins=Margins(**margins))  # pyright: ignore[reportArgumentType]
    return decide(gate_inputs(section, ours, teacher))


def finding(ours: GateModel, teacher: GateModel, **margins: float) -> Finding:
    return only_finding(asked(ours, teacher, **margins))


def test_a_model_like_its_teacher_passes_if_there_are_enough_images(models: GateModels):
    teacher, same = models("teacher", scores_with_errors(8)), models("int8", scores_with_errors(8))
    passed = finding(same, teacher, log_loss=0.2)
    assert passed.verdict == "pass" and passed.condition == "log_loss"
    mean = (8 * -np.log(0.1) + 192 * -np.log(0.9)) / 200
    assert passed.value == pytest.approx(mean) and passed.other == pytest.approx(mean)
    assert passed.text == (
        "Log loss is 0.193 nats, against 0.193 nats of teacher: +0.000 (95 % interval −0.103 to "
        "+0.103); more is worse. It is shown to add less than 0.200 nats."
    )
    tight = finding(same, teacher, log_loss=0.02)
    assert tight.verdict == "inconclusive" and tight.needs_images and tight.tested == IMAGES


def test_a_model_that_is_unsure_fails_and_its_validation_images_are_listed(models: GateModels):
    teacher = models("teacher", scores_with_errors(8))
    unsure = models("int8", scores_with_errors(8, probability=0.55))
    failed = finding(unsure, teacher, log_loss=0.1)
    assert failed.verdict == "fail" and failed.difference and failed.difference.low > 0.1
    assert len(failed.images) == 24 and failed.images[0].path in SPLIT.paths
    assert "validation images whose log loss grows most" in failed.advice
    assert 'class="forest fail"' in plot(failed)


def test_more_is_better_where_the_package_says_so(models: GateModels, benefit: None):
    teacher, worse = (
        models("teacher", scores_with_errors(4)),
        models("int8", scores_with_errors(80)),
    )
    result = asked(worse, teacher, benefit=0.5)
    failed = only_finding(result)
    assert failed.verdict == "fail" and failed.difference
    costs = np.where(LABELS[:80] == 1, 6, 1).sum() / IMAGES
    assert failed.value == pytest.approx(1 - costs)
    assert failed.difference.value == pytest.approx(failed.value - (failed.other or 0))
    assert failed.difference.low < failed.difference.value < failed.difference.high < -0.5
    assert "It is shown to lose more than the allowed 0.500" in failed.text
    assert next(row["condition"] for row in gate_rows(result)) == "benefit"
    assert finding(teacher, teacher, benefit=0.5).verdict == "pass"


def test_decisions_of_both_are_at_thresholds_of_the_same_rule(models: GateModels, benefit: None):
    scores = scores_with_errors(4)
    other_rule = RULE.model_copy(update={"target": 0.2})
    teacher = models("teacher", scores, shipped=0.99, rule=other_rule)
    ours = models("int8", scores, shipped=0.5)
    assert finding(ours, teacher, benefit=0.5).difference == (
        finding(ours, ours, benefit=0.5).difference
    )


def test_a_metric_with_values_on_other_images_is_not_compared(tmp_path: Path, models: GateModels):
    dependent = PLUGIN.replace(
        "return benefits[truths, answers.argmax(axis=1)]",
        "return np.where(answers[:, 0] == 1, benefits[truths, answers.argmax(axis=1)], np.nan)",
    )
    with plugin_installed(tmp_path / "path", "benefits", "their_benefits", dependent):
        ours, teacher = (
            models(name, scores_with_errors(wrong)) for name, wrong in [("a", 3), ("b", 9)]
        )
        left_open = finding(ours, teacher, benefit=0.5)
    assert left_open.verdict == "inconclusive"
    assert "whether an image has one may depend on its label alone" in left_open.text


def test_another_version_of_a_metric_with_a_margin_asks_the_gate_again(
    tmp_path: Path, models: GateModels
):
    ours, workspace = models("a", scores_with_errors(3)), Workspace(tmp_path / "workspace")
    keys: dict[str, list[str]] = {"benefit": [], "accuracy": []}
    for version in ("1.0", "1.1"):
        folder = tmp_path / version
        with plugin_installed(folder, "benefits", "their_benefits", PLUGIN, version):
            for name, known in keys.items():
                section = GateSection(margins=Margins(**{name: 0.1}))
                known.append(AskGate.of(workspace, gate_inputs(section, ours, ours)).key)
    assert len(set(keys["benefit"])) == 2 and len(set(keys["accuracy"])) == 1
