"""The release gate: what it decides, and how it explains itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gate_cases import (
    ACCURACY,
    IMAGES,
    LABELS,
    TEST,
    GateModels,
    findings_of,
    gate_inputs,
    incumbent,
    only_finding,
    scores_with_errors,
)
from sample_runs import BINARY

from pupila import PupilaError
from pupila_flows.gate.decision import decide
from pupila_flows.gate.inputs import GateInputs
from pupila_flows.recipe.gate import GateSection, Limits, Margins
from pupila_flows.results import Finding, GateResult, WrongImage
from pupila_flows.run.gate import gate_failures


@pytest.mark.parametrize(
    ("wrong", "verdict", "needs", "words"),
    [
        (0, "pass", False, ["+5.0 points", "shown to lose less than 5 points"]),
        (12, "pass", False, ["−1.0 points", "shown to lose less than 5 points"]),
        (18, "inconclusive", True, ["leaves open whether it loses less than 5 points", "are 200"]),
        (23, "inconclusive", True, ["as it looks now, it would fail"]),
        (
            20,
            "inconclusive",
            False,
            ["exactly at the margin, so no number of images would decide it"],
        ),
        (19, "inconclusive", True, [": more than 70 times as many test images would decide it"]),
        (45, "fail", False, ["shown to lose more than the allowed 5 points", "the interval ends"]),
    ],
)
def test_a_margin_has_three_verdicts(
    gate_model: GateModels, wrong: int, verdict: str, needs: bool, words: list[str]
):
    teacher = gate_model("vgg", scores_with_errors(10))
    result = decide(
        gate_inputs(
            GateSection(margins=ACCURACY), gate_model("int8", scores_with_errors(wrong)), teacher
        )
    )
    finding = only_finding(result)
    assert result.verdict == finding.verdict == verdict
    assert (finding.needs_images is not None) == needs
    assert finding.needs_images is None or finding.needs_images > IMAGES
    assert all(word in finding.text for word in words), finding.text
    assert bool(finding.advice) == (verdict != "pass")
    assert (result.best == "int8") == (verdict != "pass")
    assert finding.difference
    low, high = finding.difference.low, finding.difference.high
    assert {"pass": low >= -0.05, "fail": high < -0.05}.get(verdict, low < -0.05 <= high)


def test_a_failure_names_the_images_that_only_the_artifact_gets_wrong_the_surest_first(
    gate_model: GateModels,
):
    teacher, scores = gate_model("vgg", scores_with_errors(10)), scores_with_errors(60)
    scores[35] = [0.01, 0.99] if LABELS[35] == 0 else [0.99, 0.01]
    finding = only_finding(
        decide(gate_inputs(GateSection(margins=ACCURACY), gate_model("int8", scores), teacher))
    )
    truth, other = BINARY[35 % 2], BINARY[34 % 2]
    assert finding.images[0] == WrongImage(path="35.png", truth=truth, answer=other, other=truth)
    assert len(finding.images) == 24
    assert not {f"{row}.png" for row in range(10)} & {image.path for image in finding.images}


def test_what_is_published_has_margins_of_its_own(gate_model: GateModels):
    section = GateSection(margins=ACCURACY, published=Margins(accuracy=0.001))
    alike = gate_model("vgg", scores_with_errors(10))
    result = decide(
        gate_inputs(section, gate_model("int8", scores_with_errors(11)), alike, incumbent(alike))
    )
    teacher, published = findings_of(result)
    assert (teacher.against, teacher.verdict) == ("vgg", "pass")
    assert (published.against, published.verdict, published.limit) == (
        "published",
        "inconclusive",
        0.001,
    )
    assert "of version 2 (published)" not in teacher.text
    assert "of version 2 (published)" in published.text
    assert result.published == "version 2"


def test_what_is_the_very_artifact_that_is_published_is_not_compared_with_it(
    gate_model: GateModels,
):
    same = gate_model("vgg", scores_with_errors(10))
    section = GateSection(margins=ACCURACY, published=Margins(accuracy=0.001))
    compared = decide(gate_inputs(section, same, same, incumbent(same)))
    assert compared.verdict == "inconclusive"
    very = incumbent(None).model_copy(update={"same": True})
    unchanged = decide(gate_inputs(section, same, same, very))
    assert unchanged.verdict == "pass"
    _, finding = findings_of(unchanged)
    assert (
        finding.text == "int8 is the same artifact as in version 2 (published): it loses nothing."
    )


def test_what_has_no_counterpart_in_the_published_version_is_not_passed_unless_that_is_wanted(
    gate_model: GateModels,
):
    same = gate_model("vgg", scores_with_errors(10))
    inputs = gate_inputs(GateSection(margins=ACCURACY), same, same, incumbent(None))
    result = decide(inputs)
    assert result.verdict == "inconclusive"
    assert (
        "version 2 (published), which has no artifact with that name"
        in findings_of(result)[-1].text
    )
    assert "it has left-int8, web" in findings_of(result)[-1].text
    assert gate_failures(result) == []
    assert "`published: {}`" in findings_of(result)[-1].advice
    lifted = GateSection(margins=ACCURACY, published=Margins())
    assert decide(inputs.model_copy(update={"section": lifted})).verdict == "pass"


def test_an_artifact_of_which_nothing_was_asked_is_not_passed_and_that_is_told(
    gate_model: GateModels,
):
    section = GateSection(margins=Margins(), fidelity=None, published=Margins(accuracy=0.02))
    result = decide(
        gate_inputs(
            section,
            gate_model("int8", scores_with_errors(0)),
            gate_model("vgg", scores_with_errors(0)),
        )
    )
    assert result.verdict == "inconclusive"
    assert only_finding(result).text == "Nothing was checked on int8, so nothing is shown."


def with_sites(inputs: GateInputs, sites: tuple[str, ...]) -> GateInputs:
    images = {
        split: getattr(inputs, split).model_copy(update={"columns": {"site": sites}})
        for split in ("test", "validation")
    }
    return inputs.model_copy(update=images)


def test_images_without_a_value_are_a_group_and_a_column_without_any_is_not_passed(
    gate_model: GateModels,
):
    section = GateSection(margins=Margins(accuracy=0.15), groups=("site",))
    inputs = gate_inputs(
        section,
        gate_model("int8", scores_with_errors(15, first=183)),
        gate_model("vgg", scores_with_errors(0)),
    )
    half = ("north",) * 180 + ("",) * 20
    verdict = decide(with_sites(inputs, half)).artifacts[0]
    assert {finding.group: finding.verdict for finding in verdict.findings} == {
        None: "pass",
        "site is not given": "fail",
        "site = north": "pass",
    }
    empty = decide(with_sites(inputs, ("",) * IMAGES))
    assert empty.verdict == "inconclusive"
    assert (
        "Groups by site cannot be checked: no test image has a value" in findings_of(empty)[-1].text
    )


def test_every_value_of_a_column_is_asked_for_itself(gate_model: GateModels):
    wrong_in_the_south = gate_model("int8", scores_with_errors(15, first=183))
    section = GateSection(margins=Margins(accuracy=0.15), groups=("site",))
    verdict = decide(
        gate_inputs(section, wrong_in_the_south, gate_model("vgg", scores_with_errors(0)))
    ).artifacts[0]
    assert {finding.group: finding.verdict for finding in verdict.findings} == {
        None: "pass",
        "site = north": "pass",
        "site = south": "fail",
    }
    assert verdict.verdict == "fail"


def test_sensitivity_is_read_at_the_threshold_that_was_locked(gate_model: GateModels):
    section = GateSection(margins=Margins(sensitivity=0.1))
    teacher = gate_model("vgg", scores_with_errors(10))
    shipped = only_finding(
        decide(
            gate_inputs(section, gate_model("int8", scores_with_errors(10), shipped=0.95), teacher)
        )
    )
    assert (shipped.verdict, shipped.value, shipped.other) == ("fail", 0.0, 0.95)
    assert "It is evaluated at its shipped threshold, 0.950 (specificity 100.0 %)" in shipped.text
    locked = only_finding(
        decide(gate_inputs(section, gate_model("int8", scores_with_errors(10)), teacher))
    )
    assert (locked.verdict, locked.value) == ("pass", 0.95)
    assert "the threshold chosen on the validation images" in locked.text
    none = only_finding(
        decide(
            gate_inputs(section, gate_model("int8", scores_with_errors(10), locked=False), teacher)
        )
    )
    assert none.verdict == "inconclusive"
    assert "No threshold of 'int8' could be chosen" in none.text


def test_each_of_several_figures_is_tested_at_the_full_level(gate_model: GateModels):
    section = GateSection(margins=Margins(accuracy=0.046, sensitivity=0.001))
    teacher = gate_model("vgg", scores_with_errors(10))
    finding, _ = findings_of(
        decide(gate_inputs(section, gate_model("int8", scores_with_errors(13)), teacher))
    )
    assert finding.p_value is not None and finding.difference
    assert 0.0125 < finding.p_value <= 0.025  # as one of two it would not have passed by Holm
    assert finding.difference.low >= -0.046
    assert finding.verdict == "pass"


@pytest.mark.parametrize(
    ("limits", "verdict", "words"),
    [
        (Limits(size_bytes=1000), "pass", "Size is 1,000 bytes: it is within the limit, at most"),
        (Limits(size_bytes=900), "fail", "100 bytes more than allowed: at most 900 bytes"),
        (Limits(latency_ms=4), "fail", "Time per image is 5 ms: 1 ms more than allowed"),
        (Limits(accuracy=0.9), "pass", "at least 90.0 %"),
        (Limits(accuracy=0.95), "inconclusive", "no number of images would decide it"),
        (Limits(accuracy=0.99), "fail", "4 points less than required: at least 99.0 %"),
        (Limits(agreement=0.9), "pass", "Agreement with vgg is 100.0 %"),
    ],
)
def test_a_limit_holds_whatever_it_is_compared_with(
    gate_model: GateModels, limits: Limits, verdict: str, words: str
):
    section = GateSection(margins=Margins(), limits=limits)
    scores = scores_with_errors(10)
    finding = only_finding(
        decide(gate_inputs(section, gate_model("int8", scores), gate_model("vgg", scores)))
    )
    assert finding.verdict == verdict
    assert words in finding.text


def test_advice_names_the_steps_of_the_run_that_do_better(gate_model: GateModels):
    inputs = gate_inputs(
        GateSection(margins=ACCURACY),
        gate_model("int8", scores_with_errors(45)),
        gate_model("vgg", scores_with_errors(10)),
    )
    rivals = (
        gate_model("float", scores_with_errors(11)),
        gate_model("half", scores_with_errors(13)),
        gate_model("worse", scores_with_errors(48)),
    )
    finding = only_finding(decide(inputs.model_copy(update={"rivals": rivals})))
    assert (
        "In this run, float (accuracy 94.5 %), half (accuracy 93.5 %) do better on the validation "
        "images." in finding.advice
    )


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({"error": "litert: it does not run"}, "fail", "int8 cannot be released: litert"),
        ({"artifact": None}, "fail", "it was not evaluated"),
        (
            {"teacher": None},
            "inconclusive",
            "the teacher is missing, so it has no evaluated model to compare with",
        ),
    ],
)
def test_what_cannot_be_asked_is_not_passed(
    gate_model: GateModels, changes: dict[str, object], verdict: str, words: str
):
    inputs = gate_inputs(
        GateSection(margins=ACCURACY),
        gate_model("int8", scores_with_errors(0)),
        gate_model("vgg", scores_with_errors(10)),
    )
    case = inputs.cases[0].model_copy(update=changes)
    result = decide(inputs.model_copy(update={"cases": (case,)}))
    assert result.verdict == verdict
    assert words in findings_of(result)[0].text
    assert bool(gate_failures(result)) == (verdict == "fail")


def test_a_gate_without_artifacts_is_not_passed(gate_model: GateModels):
    inputs = gate_inputs(
        GateSection(),
        gate_model("int8", scores_with_errors(0)),
        gate_model("vgg", scores_with_errors(0)),
    )
    result = decide(inputs.model_copy(update={"cases": ()}))
    assert result.verdict == "fail"
    assert "name some in `gate.steps`" in str(result.reason)
    assert gate_failures(result) == [f"gate: {result.reason}"]


def test_predictions_of_other_images_are_refused(gate_model: GateModels):
    inputs = gate_inputs(
        GateSection(),
        gate_model("int8", scores_with_errors(0)),
        gate_model("vgg", scores_with_errors(0)),
    )
    test = TEST.model_copy(update={"paths": TEST.paths[:9], "labels": TEST.labels[:9]})
    fewer = inputs.model_copy(update={"test": test})
    with pytest.raises(PupilaError, match=re.escape("expected (9, 2)")):
        decide(fewer)
    Path(inputs.cases[0].artifact.evaluation.probabilities).unlink()  # pyright: ignore
    with pytest.raises(PupilaError, match="run again"):
        decide(inputs)


def test_a_question_is_the_same_wherever_the_workspace_lies(gate_model: GateModels):
    inputs = gate_inputs(GateSection(), gate_model("int8", scores_with_errors(0)), None)
    path = inputs.cases[0].artifact.evaluation.probabilities  # pyright: ignore
    moved = GateInputs.model_validate_json(
        inputs.model_dump_json().replace(path, f"/elsewhere/{Path(path).name}")
    )
    assert moved.identity() == inputs.identity()


def floor(result: GateResult) -> dict[str | None, Finding]:
    """What was asked of every model, by whose it is."""
    return {
        finding.against: finding
        for finding in result.artifacts[0].findings
        if finding not in findings_of(result)
    }


def test_pupil_teacher_and_what_is_published_must_be_above_chance_whatever_a_recipe_asks(
    gate_model: GateModels,
):
    turned = scores_with_errors(196)  # as by classes in the wrong order, of 200 images
    of_size = GateSection(margins=Margins(), limits=Limits(size_bytes=10_000))
    for section in (of_size, GateSection(margins=Margins(accuracy=0.1))):
        result = decide(gate_inputs(section, gate_model("int8", turned), gate_model("vgg", turned)))
        assert [finding.verdict for finding in findings_of(result)] == ["pass"]
        assert result.verdict == "fail"
        assert {name: finding.verdict for name, finding in floor(result).items()} == {
            None: "fail",
            "vgg": "fail",
        }
        pupil = floor(result)[None]
        assert "int8 is not shown to be above chance on 200 test images" in pupil.text
        assert "AUC 0.020" in pupil.text
        assert "in the order normal, glaucoma it would reach 0.980" in pupil.advice
    good, lost = (
        gate_model("int8", scores_with_errors(4)),
        gate_model("v2", scores_with_errors(100)),
    )
    result = decide(
        gate_inputs(of_size, good, gate_model("vgg", scores_with_errors(4)), incumbent(lost))
    )
    assert floor(result)[None].verdict == "pass"
    assert floor(result)["published"].verdict == "fail"
    assert "version 2 (published) is not shown" in floor(result)["published"].text


def test_where_a_class_has_one_test_image_nothing_is_above_chance(gate_model: GateModels):
    section = GateSection(margins=Margins(), limits=Limits(size_bytes=10_000))
    inputs = gate_inputs(section, gate_model("int8", scores_with_errors(0)), None)
    test = TEST.model_copy(update={"labels": (1, *[0] * (IMAGES - 1))})
    result = decide(inputs.model_copy(update={"test": test}))
    assert result.verdict == "inconclusive"
    assert "at least 2 of each class" in floor(result)[None].text


def test_a_figure_without_images_says_which_are_missing(gate_model: GateModels):
    inputs = gate_inputs(
        GateSection(margins=Margins(specificity=0.05)),
        gate_model("int8", scores_with_errors(2)),
        gate_model("vgg", scores_with_errors(2)),
    )
    test = inputs.test.model_copy(update={"labels": (0,) * IMAGES})
    finding = only_finding(decide(inputs.model_copy(update={"test": test})))
    assert finding.verdict == "inconclusive"
    assert "none of the 200 test images are images of other classes." in finding.text
