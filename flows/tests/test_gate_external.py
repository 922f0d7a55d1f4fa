"""What the gate checks on external sets."""

from __future__ import annotations

import numpy as np
import pytest
from gate_cases import (
    ACCURACY,
    IMAGES,
    LABELS,
    TEST,
    Floats,
    GateModels,
    findings_of,
    gate_inputs,
    scores_with_errors,
)

from pupila.evaluation import Estimate
from pupila_flows.gate.decision import decide
from pupila_flows.gate.external import differences
from pupila_flows.gate.inputs import ExternalPredictions, GateExternalSet, GateInputs
from pupila_flows.recipe.gate import ExternalGate, GateSection, Margins
from pupila_flows.report.sections.gate import plot
from pupila_flows.report.terminal import gate_rows
from pupila_flows.results import Finding

HOME = scores_with_errors(6)
CHANCE = scores_with_errors(IMAGES // 2)


def _asked(
    gate_model: GateModels,
    ours: Floats | None,
    teacher: Floats,
    external: ExternalGate | None = None,
    correlation: float | None = None,
    *,
    labelled: bool = True,
) -> GateInputs:
    """Return inputs with a pupil as good as its teacher on the test images, and an external set."""
    section = GateSection(margins=ACCURACY, fidelity=None, external=external or ExternalGate())
    inputs = gate_inputs(section, gate_model("int8", HOME), gate_model("big", HOME))
    estimate = None
    if correlation is not None:
        low, high = correlation - 0.05, correlation + 0.05
        estimate = Estimate(value=correlation, low=low, high=high, method="-")
    answers = [("int8", ours, estimate), ("big", teacher, None)]
    external_set = GateExternalSet(
        name="clinic-b",
        images=TEST.model_copy(
            update={"fingerprint": "b", "labels": TEST.labels if labelled else (-1,) * IMAGES}
        ),
        labelled=labelled,
        predictions=tuple(
            ExternalPredictions(
                name=name,
                probabilities=gate_model(f"{name}-b", scores).evaluation.probabilities,
                correlation=estimate,
            )
            for name, scores, estimate in answers
            if scores is not None
        ),
    )
    return inputs.model_copy(update={"external": (external_set,)})


def _elsewhere(inputs: GateInputs) -> dict[str, Finding]:
    (artifact,) = decide(inputs).artifacts
    return {finding.condition: finding for finding in artifact.findings if finding.external}


@pytest.mark.parametrize(
    ("ours", "teacher", "accuracy", "chance"),
    [
        pytest.param(
            scores_with_errors(8),
            scores_with_errors(8),
            "pass",
            "pass",
            id="as good as the teacher",
        ),
        pytest.param(
            scores_with_errors(70), scores_with_errors(8), "fail", "pass", id="much worse there"
        ),
        pytest.param(
            scores_with_errors(14),
            scores_with_errors(8),
            "inconclusive",
            "pass",
            id="it cannot be known",
        ),
        pytest.param(CHANCE, scores_with_errors(8), "fail", "inconclusive", id="at chance"),
    ],
)
def test_a_pupil_must_be_as_good_as_its_teacher_in_each_other_place(
    gate_model: GateModels, ours: Floats, teacher: Floats, accuracy: str, chance: str
):
    findings = _elsewhere(_asked(gate_model, ours, teacher))
    assert findings["accuracy"].verdict == accuracy
    assert findings["accuracy"].text.startswith("Accuracy on clinic-b is ")
    assert findings["accuracy"].limit == 0.05
    assert findings["accuracy"].images == ()
    assert "test images" not in findings["accuracy"].text
    assert findings["chance"].verdict in (chance, "fail")


@pytest.mark.parametrize("ours", [scores_with_errors(8), CHANCE], ids=["a good pupil", "a bad one"])
def test_where_the_teacher_is_at_chance_nothing_can_be_shown(gate_model: GateModels, ours: Floats):
    inputs = _asked(gate_model, ours, CHANCE)
    findings = _elsewhere(inputs)
    assert set(findings) == {"chance"}
    assert findings["chance"].verdict == "inconclusive"
    assert findings["chance"].text.startswith("Nothing can be shown on clinic-b: big is not shown")
    assert "200 clinic-b images" in findings["chance"].text
    assert decide(inputs).verdict == "inconclusive"


def test_a_set_on_which_the_pupil_was_not_evaluated_does_not_pass(gate_model: GateModels):
    findings = _elsewhere(_asked(gate_model, None, scores_with_errors(8)))
    assert {finding.verdict for finding in findings.values()} == {"inconclusive"}


@pytest.mark.parametrize(
    ("correlation", "verdict"), [(0.9, "pass"), (0.7, "fail"), (0.82, "inconclusive"), (None, None)]
)
@pytest.mark.parametrize("labelled", [False, True])
def test_fidelity_is_asked_where_the_recipe_says_so(
    gate_model: GateModels, correlation: float | None, verdict: str | None, labelled: bool
):
    gate = ExternalGate(margins=Margins(), fidelity=0.8)
    findings = _elsewhere(
        _asked(
            gate_model,
            scores_with_errors(8),
            scores_with_errors(8),
            gate,
            correlation,
            labelled=labelled,
        )
    )
    assert set(findings) == {"external_fidelity"}
    finding = findings["external_fidelity"]
    assert finding.verdict == (verdict or "inconclusive")
    assert bool(plot(finding)) == (correlation is not None)


def test_images_without_labels_are_not_asked_for_margins(gate_model: GateModels):
    inputs = _asked(gate_model, scores_with_errors(8), scores_with_errors(8), labelled=False)
    assert not _elsewhere(inputs)
    (case,), (external,) = inputs.cases, inputs.external
    assert not differences(inputs, case, external)


def test_margins_may_be_others_elsewhere(gate_model: GateModels):
    gate = ExternalGate(margins=Margins(accuracy=0.3))
    findings = _elsewhere(_asked(gate_model, scores_with_errors(40), scores_with_errors(8), gate))
    assert (findings["accuracy"].verdict, findings["accuracy"].limit) == ("pass", 0.3)


def test_what_is_asked_at_home_stays_the_same(gate_model: GateModels):
    inputs = _asked(gate_model, scores_with_errors(70), scores_with_errors(8))
    here = [finding for finding in findings_of(decide(inputs)) if not finding.external]
    assert here == list(findings_of(decide(inputs.model_copy(update={"external": ()}))))
    where = [row["where"] for row in gate_rows(decide(inputs))]
    assert "clinic-b" in where


def test_differences_are_paired_and_told_by_group(gate_model: GateModels):
    inputs = _asked(gate_model, scores_with_errors(40, first=160), scores_with_errors(8))
    (case,), (external,) = inputs.cases, inputs.external
    by_metric = differences(inputs, case, external)
    assert set(by_metric) == {"accuracy", "auc", "sensitivity", "specificity"}
    assert by_metric["accuracy"].value == pytest.approx(-32 / IMAGES)
    assert by_metric["accuracy"].low < by_metric["accuracy"].value < by_metric["accuracy"].high < 0
    north = differences(inputs, case, external, ("site", "north"))
    assert north["accuracy"].value == pytest.approx((8 - 20) / 180)


def test_of_one_class_alone_what_needs_both_is_left_out(gate_model: GateModels):
    inputs = _asked(gate_model, scores_with_errors(8), scores_with_errors(8))
    (external,) = inputs.external
    rows = np.flatnonzero(LABELS == 0)
    alone = tuple(int(label) for label in LABELS[rows])
    images = external.images.model_copy(
        update={"labels": alone, "paths": external.images.paths[: len(rows)], "columns": {}}
    )
    for model in external.predictions:
        np.save(model.probabilities, np.load(model.probabilities)[rows])
    there = external.model_copy(update={"images": images})
    (case,) = inputs.cases
    assert set(differences(inputs, case, there)) == {"accuracy", "sensitivity"}
    asked_there = inputs.model_copy(update={"external": (there,)})
    assert set(_elsewhere(asked_there)) == {"chance"}
    assert decide(asked_there).verdict == "inconclusive"
