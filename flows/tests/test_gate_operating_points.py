"""At which threshold the gate reads a model, and what it is compared with."""

from __future__ import annotations

import numpy as np
import pytest
from gate_cases import (
    IMAGES,
    LABELS,
    RULE,
    GateModels,
    findings_of,
    gate_inputs,
    incumbent,
    only_finding,
    scores_with_errors,
)
from sample_runs import BINARY, SPECIFICITY

from pupila import PupilaError
from pupila.artifact import ThresholdRule
from pupila.metrics import choose_threshold, metrics_of
from pupila.noninferiority import LEVEL, exact_p_value
from pupila_flows.gate.decision import decide
from pupila_flows.gate.inputs import GateInputs, GateModel
from pupila_flows.gate.operating import Floats
from pupila_flows.recipe.gate import GateSection, Limits, Margins
from pupila_flows.results import GateResult, Verdict

RUNS = 20
COLUMN = BINARY.index("glaucoma")
POSITIVE = np.equal(LABELS, COLUMN)


def drawn(random: np.random.Generator, spread: float = 0.25) -> Floats:
    """Return answers that are right as a rule, and tell the classes apart by their size."""
    scores = np.clip(np.where(POSITIVE, 0.65, 0.35) + spread * random.normal(size=IMAGES), 0, 1)
    answers = np.stack([1 - scores, 1 - scores], axis=1)
    answers[:, COLUMN] = scores
    return answers


def by_condition(result: GateResult) -> dict[str, Verdict]:
    return {finding.condition: finding.verdict for finding in findings_of(result)}


def test_what_calls_every_image_positive_does_not_pass_the_gate_that_asks_for_nothing_special(
    gate_model: GateModels,
):
    result = decide(
        gate_inputs(
            GateSection(),
            gate_model("int8", scores_with_errors(2), shipped=0.002),
            gate_model("vgg", scores_with_errors(2)),
        )
    )
    assert by_condition(result) == {
        "accuracy": "fail",
        "auc": "pass",
        "sensitivity": "pass",
        "specificity": "fail",
    }
    accuracy, _, sensitivity, specificity = findings_of(result)
    assert (accuracy.value, sensitivity.value, specificity.value) == (0.5, 1.0, 0.0)
    assert result.verdict == "fail"


@pytest.mark.parametrize("figure", ["sensitivity", "specificity"])
@pytest.mark.parametrize("target", [0.8, 0.95])
def test_a_model_that_is_compared_with_itself_differs_in_nothing(
    gate_model: GateModels, figure: str, target: float
):
    section = GateSection(margins=Margins(accuracy=0.05, sensitivity=0.06, specificity=0.06))
    rule = RULE.model_validate(RULE.model_dump() | {"figure": figure, "target": target})
    random = np.random.default_rng(20)
    template = gate_model("itself", scores_with_errors(10))
    verdicts: list[dict[str, Verdict]] = []
    for _ in range(RUNS):
        test, validation = drawn(random), drawn(random)
        value = choose_threshold(validation[:, COLUMN], POSITIVE, rule)
        itself = again(template, test, validation)
        threshold = gate_model("int8", scores_with_errors(1), shipped=value, rule=rule).threshold
        pupil = itself.model_copy(update={"name": "int8", "threshold": threshold})
        result = decide(gate_inputs(section, pupil, itself, incumbent(itself)))
        assert all(finding.value == finding.other for finding in findings_of(result))
        verdicts.append(by_condition(result))
    for margin, images in ((0.05, IMAGES), (0.06, IMAGES // 2)):
        assert exact_p_value(0, 0, images, -margin) <= LEVEL
    alike = ("accuracy", "sensitivity", "specificity")
    assert verdicts == [dict.fromkeys(alike, "pass")] * RUNS


def again(template: GateModel, test: Floats, validation: Floats) -> GateModel:
    """Let a model answer otherwise; figures of its evaluation that the gate does not read stay."""
    evaluation = template.evaluation
    assert evaluation.validation_probabilities
    np.save(evaluation.probabilities, test)
    np.save(evaluation.validation_probabilities, validation)
    return template


def test_accuracy_is_that_of_the_threshold_that_ships(gate_model: GateModels):
    section = GateSection(margins=Margins(accuracy=0.05), limits=Limits(accuracy=0.9))
    scores = scores_with_errors(4)
    ships = gate_model("int8", scores, shipped=0.95)
    margin, limit = findings_of(decide(gate_inputs(section, ships, gate_model("vgg", scores))))
    assert (margin.value, margin.verdict) == (0.5, "fail")
    assert (limit.value, limit.verdict) == (0.5, "fail")
    assert (
        "It is evaluated at its shipped threshold, 0.950; vgg at the threshold that" in margin.text
    )
    plain = findings_of(
        decide(gate_inputs(section, gate_model("int8", scores), gate_model("vgg", scores)))
    )
    assert [finding.value for finding in plain] == [0.98, 0.98]
    assert "threshold" not in plain[0].text


def test_agreement_is_that_of_like_thresholds(gate_model: GateModels):
    section = GateSection(margins=Margins(), limits=Limits(agreement=0.9))
    scores = scores_with_errors(4)
    rule = RULE.model_copy(update={"target": 1.0})
    value = choose_threshold(scores[:, COLUMN], POSITIVE, rule)
    ships = gate_model("int8", scores, shipped=value, rule=rule)
    finding = only_finding(decide(gate_inputs(section, ships, gate_model("vgg", scores))))
    assert (finding.value, finding.verdict) == (1.0, "pass")


def test_of_two_classes_a_threshold_of_the_other_one_counts(gate_model: GateModels):
    section = GateSection(margins=Margins(sensitivity=0.05, specificity=0.05))
    ships = gate_model("int8", scores_with_errors(4), shipped=0.002, positive="normal")
    sensitivity, specificity = findings_of(
        decide(gate_inputs(section, ships, gate_model("vgg", scores_with_errors(4))))
    )
    assert (sensitivity.value, specificity.value) == (0.0, 1.0)


def test_what_ships_a_threshold_whose_rule_is_not_known_is_not_passed(gate_model: GateModels):
    ships = gate_model("int8", scores_with_errors(0), shipped=0.5, rule=None)
    inputs = gate_inputs(GateSection(), ships, gate_model("vgg", scores_with_errors(0)))
    result = decide(inputs)
    assert by_condition(result) == {
        "accuracy": "inconclusive",
        "auc": "pass",
        "sensitivity": "inconclusive",
        "specificity": "inconclusive",
    }
    assert "'vgg' has no matching one: make it by a step `threshold`" in (
        findings_of(result)[0].text
    )


def test_a_reference_is_read_by_the_rule_of_the_artifact_whatever_it_ships_itself(
    gate_model: GateModels,
):
    section = GateSection(margins=Margins(sensitivity=0.05))
    other = ThresholdRule.model_validate(RULE.model_dump() | {"figure": "specificity"})
    scores = drawn(np.random.default_rng(1))
    teacher = gate_model("vgg", scores, shipped=0.99, rule=other)
    value = choose_threshold(scores[:, COLUMN], POSITIVE, RULE)
    same = only_finding(
        decide(gate_inputs(section, gate_model("int8", scores, shipped=value), teacher))
    )
    assert same.value == same.other
    assert "(it ships 0.990, by another rule)" in same.text
    by_specificity = only_finding(decide(gate_inputs(section, gate_model("int8", scores), teacher)))
    assert by_specificity.value == by_specificity.other


def test_what_ships_a_threshold_by_the_same_rule_and_images_is_read_at_that(gate_model: GateModels):
    section = GateSection(margins=Margins(sensitivity=0.05))
    scores = drawn(np.random.default_rng(1))
    pupil, teacher = (gate_model(name, scores, shipped=0.5) for name in ("int8", "vgg"))
    finding = only_finding(decide(gate_inputs(section, pupil, teacher)))
    assert finding.value == finding.other
    assert finding.text.count("0.500") == 2


def test_images_and_advice_come_from_the_validation(gate_model: GateModels):
    wrong_there, wrong_here = scores_with_errors(60, first=100), scores_with_errors(60)
    pupil = gate_model("int8", wrong_here, validation=wrong_there)
    inputs = gate_inputs(
        GateSection(margins=Margins(accuracy=0.05)),
        pupil,
        gate_model("vgg", scores_with_errors(0)),
    )
    finding = only_finding(decide(with_rivals(inputs, gate_model)))
    rows = {int(image.path.removesuffix(".png")) for image in finding.images}
    assert rows and rows <= set(range(100, 160))
    assert "In this run, chosen (accuracy 95.0 %) does better on the validation" in finding.advice
    assert "fresh ones" in finding.advice


def with_rivals(inputs: GateInputs, gate_model: GateModels) -> GateInputs:
    """Add a step that only the validation finds better, and one that only the test does."""
    chosen = gate_model("chosen", scores_with_errors(80), validation=scores_with_errors(10))
    spent = gate_model("spent", scores_with_errors(0), validation=scores_with_errors(70))
    return inputs.model_copy(update={"rivals": (spent, chosen)})


def test_what_came_nearest_is_chosen_by_the_validation(gate_model: GateModels):
    section = GateSection(margins=Margins(accuracy=0.05))
    teacher = gate_model("vgg", scores_with_errors(0))
    lucky = gate_inputs(
        section,
        gate_model("lucky", scores_with_errors(60), validation=scores_with_errors(70)),
        teacher,
    ).cases[0]
    inputs = gate_inputs(
        section,
        gate_model("sound", scores_with_errors(61), validation=scores_with_errors(50)),
        teacher,
    )
    cases = (lucky.model_copy(update={"entry": "lucky"}), inputs.cases[0])
    result = decide(inputs.model_copy(update={"cases": cases}))
    assert [artifact.verdict for artifact in result.artifacts] == ["fail", "fail"]
    assert result.best == "int8"


def test_a_threshold_for_the_other_class_is_called_so_and_is_that_of_the_figures(
    gate_model: GateModels,
):
    answers = drawn(np.random.default_rng(20))
    pupil = gate_model("int8", answers, shipped=0.05, positive="normal")
    result = decide(gate_inputs(GateSection(), pupil, gate_model("vgg", answers)))
    accuracy, _, sensitivity, specificity = findings_of(result)
    assert "It is evaluated at its shipped threshold for 'normal', 0.050; vgg" in accuracy.text
    figures = metrics_of(answers, LABELS, BINARY, "glaucoma", SPECIFICITY, shipped=pupil.threshold)
    assert figures.shipped
    assert accuracy.value == figures.accuracy.value < 0.9
    assert sensitivity.value == figures.shipped.sensitivity.value
    assert specificity.value == figures.shipped.specificity.value


def test_a_threshold_that_other_images_chose_is_not_held_against_one_of_these(
    gate_model: GateModels,
):
    """As by a step `threshold` that some validation images are kept from."""
    fewer = RULE.model_copy(update={"images": "validation of one site"})
    answers = drawn(np.random.default_rng(20))
    pupil = gate_model("int8", answers, shipped=0.4, rule=fewer)
    result = decide(gate_inputs(GateSection(), pupil, gate_model("vgg", answers)))
    unlike = dict.fromkeys(("accuracy", "sensitivity", "specificity"), "inconclusive")
    assert by_condition(result) == {"auc": "pass"} | unlike
    assert (
        "ships a threshold that was not chosen on the validation images of this run"
        in findings_of(result)[0].text
    )
    alike = gate_model("vgg", answers, shipped=0.4, rule=fewer)
    assert set(by_condition(decide(gate_inputs(GateSection(), pupil, alike))).values()) <= {
        "pass",
        "inconclusive",
    }
    same = findings_of(decide(gate_inputs(GateSection(), pupil, alike)))
    assert all(finding.value == finding.other for finding in same)


def test_answers_that_are_no_probabilities_are_not_evaluated(gate_model: GateModels):
    broken = drawn(np.random.default_rng(20))
    broken[3] = np.nan
    with pytest.raises(PupilaError, match=r"outside 0\.\.1"):
        decide(
            gate_inputs(
                GateSection(), gate_model("int8", broken), gate_model("vgg", scores_with_errors(0))
            )
        )
