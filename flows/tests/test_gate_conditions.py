"""A condition is one object: the gate decides it, words it and draws it, and nothing else knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sample_runs import SPECIFICITY, Node, gate_images, sample_run

from pupila import PupilaError
from pupila_flows.gate import conditions
from pupila_flows.gate.conditions import (
    CONDITIONS,
    Condition,
    condition_of,
    limit_rule,
    margin_rule,
)
from pupila_flows.gate.decision import decide
from pupila_flows.gate.inputs import Case, GateInputs, GateModel
from pupila_flows.gate.rules import AtLeast, AtMost, ImageSubset, MarginRule
from pupila_flows.gate.units import BYTES
from pupila_flows.recipe.gate import GateSection, Limits, Margin, Margins
from pupila_flows.report.sections.gate import plot
from pupila_flows.report.terminal import gate_rows
from pupila_flows.results import Finding, RunResult

REJECTED = Condition(
    field="rejected",
    title="rejected images",
    margin=MarginRule(
        images=ImageSubset(
            "images of other classes", lambda answers, rows: rows[~answers.is_positive[rows]]
        ),
        note=lambda ours, theirs, rows: f" It was asked of {len(rows)} images.",
        advice="Choose a higher threshold.",
    ),
)
GZIPPED = Condition(
    field="gzip_bytes",
    title="download",
    unit=BYTES,
    limit=AtMost(
        cost=lambda model: float(model.evaluation.cost.gzip_bytes), advice="Try fewer weights."
    ),
)
SURE = Condition(
    field="sure",
    title="sure answers",
    limit=AtLeast(correct=lambda ours, _: ours.losses < -0.6, advice="Train longer."),
)


class MoreMargins(Margins):
    rejected: Margin | None = None


class MoreLimits(Limits):
    gzip_bytes: int | None = None
    sure: Margin | None = None


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(conditions, "CONDITIONS", (*CONDITIONS, REJECTED, GZIPPED, SURE))


@pytest.fixture
def run(tmp_path: Path) -> RunResult:
    nodes = [
        Node("vgg16", "keras-h5", (), 0.3, "keras"),
        Node("float", "export-tflite", ("vgg16",), 0.01, size_bytes=2_000_000),
        Node("int8", "quantize-int8", ("float",), 9.0),
    ]
    return sample_run(tmp_path, nodes)


def findings(run: RunResult, margins: MoreMargins, limits: MoreLimits) -> tuple[Finding, ...]:
    sides = {
        entry.name: GateModel(name=entry.name, evaluation=entry.evaluation)
        for entry in run.entries
        if entry.evaluation
    }
    inputs = GateInputs(
        specificity=SPECIFICITY,
        section=GateSection(margins=margins, fidelity=None, limits=limits),
        cases=(Case(entry="int8", made="so", artifact=sides["int8"], teacher=sides["vgg16"]),),
        rivals=(sides["float"],),
        classes=run.data.classes,
        positive="glaucoma",
        test=gate_images(run),
        validation=gate_images(run),
    )
    result = decide(inputs)
    titles = [condition_of(finding.condition).title for finding in result.artifacts[0].findings]
    assert [row["condition"] for row in gate_rows(result)] == titles
    return tuple(
        finding for finding in result.artifacts[0].findings if finding.condition != "chance"
    )


def test_a_figure_that_is_compared_is_decided_worded_and_drawn(run: RunResult):
    accuracy, added = findings(run, MoreMargins(accuracy=0.2, rejected=0.01), MoreLimits())
    assert (accuracy.condition, added.condition) == ("accuracy", "rejected")
    assert (added.verdict, added.against, added.limit) == ("fail", "vgg16", 0.01)
    assert added.p_value is not None
    assert added.text.startswith("Rejected images is ")
    assert added.text.endswith(f" It was asked of {len(run.test_images)} images.")
    assert added.advice.endswith("Choose a higher threshold.")
    positive = run.data.classes.index("glaucoma")
    negatives = np.flatnonzero(np.array(run.test_labels) != positive)
    wrong = {image.path for image in added.images}
    assert wrong and wrong <= {run.test_images[row] for row in negatives}
    assert 'class="forest fail"' in plot(added) and "zero" in plot(added)


def test_too_few_images_are_called_what_the_condition_calls_them(run: RunResult):
    (finding,) = findings(run, MoreMargins(rejected=0.4), MoreLimits())
    assert finding.verdict == "inconclusive"
    assert "test images of other classes would decide it" in finding.text


def test_a_cost_is_held_against_its_limit_worded_and_drawn(run: RunResult):
    entry = next(entry for entry in run.entries if entry.name == "int8")
    assert entry.evaluation
    size = entry.evaluation.cost.gzip_bytes
    (met,) = findings(run, MoreMargins(), MoreLimits(gzip_bytes=size))
    (missed,) = findings(run, MoreMargins(), MoreLimits(gzip_bytes=size - 10))
    assert (met.verdict, missed.verdict) == ("pass", "fail")
    assert missed.text == (
        f"Download is {size:,} bytes: 10 bytes more than allowed: at most {size - 10:,} bytes."
    )
    assert missed.advice.startswith("In this run, float (")
    assert missed.advice.endswith("Try fewer weights.")
    assert 'class="bar"' in plot(missed)


def test_a_fraction_of_the_images_is_held_against_its_limit_worded_and_drawn(run: RunResult):
    (finding,) = findings(run, MoreMargins(), MoreLimits(sure=0.99))
    assert finding.verdict == "fail" and finding.interval
    assert finding.text.startswith("Sure answers is ")
    assert finding.text.endswith("less than required: at least 99.0 %.")
    assert finding.advice.endswith("Train longer.")
    assert 'class="span"' in plot(finding) and "zero" not in plot(finding)


def test_every_condition_has_a_field_of_its_own_and_every_field_of_the_recipe_a_condition():
    fields = [condition.field for condition in CONDITIONS]
    assert len(set(fields)) == len(fields)
    assert all(margin_rule(field) for field in Margins.model_fields)
    assert all(limit_rule(field) for field in Limits.model_fields)


def test_a_field_that_no_condition_has_is_named():
    with pytest.raises(PupilaError, match=r"no condition 'acuracy'.*Did you mean 'accuracy'\?"):
        condition_of("acuracy")
    with pytest.raises(PupilaError, match="'size_bytes' takes no margin"):
        margin_rule("size_bytes")
    with pytest.raises(PupilaError, match="'auc' takes no limit"):
        limit_rule("auc")
