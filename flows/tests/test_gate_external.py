"""What the gate asks on images of other places."""

from __future__ import annotations

import numpy as np
import pytest
from gate_cases import ACCURACY, IMAGES, LABELS, TEST, Floats, Sides, answered, asked, told

from pupila.evaluation import Estimate
from pupila_flows.gate.decision import decide
from pupila_flows.gate.external import differences
from pupila_flows.gate.inputs import Place, PlaceAnswers, Question
from pupila_flows.recipe.gate import ExternalGate, GateSection, Margins
from pupila_flows.report.sections.gate import plot
from pupila_flows.report.terminal import gate_rows
from pupila_flows.results import Finding

HOME = answered(6)
CHANCE = answered(IMAGES // 2)


def _asked(
    side: Sides,
    ours: Floats | None,
    teacher: Floats,
    external: ExternalGate | None = None,
    correlation: float | None = None,
    *,
    labelled: bool = True,
) -> Question:
    """Ask about a pupil that is as good as its teacher at home, and answers so elsewhere."""
    section = GateSection(margins=ACCURACY, fidelity=None, external=external or ExternalGate())
    question = asked(section, side("int8", HOME), side("big", HOME))
    found = None
    if correlation is not None:
        low, high = correlation - 0.05, correlation + 0.05
        found = Estimate(value=correlation, low=low, high=high, method="-")
    answers = [("int8", ours, found), ("big", teacher, None)]
    place = Place(
        name="clinic-b",
        images=TEST.model_copy(
            update={"fingerprint": "b", "labels": TEST.labels if labelled else (-1,) * IMAGES}
        ),
        labelled=labelled,
        answers=tuple(
            PlaceAnswers(
                name=name,
                probabilities=side(f"{name}-b", scores).evaluation.probabilities,
                correlation=estimate,
            )
            for name, scores, estimate in answers
            if scores is not None
        ),
    )
    return question.model_copy(update={"external": (place,)})


def _elsewhere(question: Question) -> dict[str, Finding]:
    (artifact,) = decide(question).artifacts
    return {each.condition: each for each in artifact.findings if each.external}


@pytest.mark.parametrize(
    ("ours", "teacher", "accuracy", "chance"),
    [
        pytest.param(answered(8), answered(8), "pass", "pass", id="as good as the teacher"),
        pytest.param(answered(70), answered(8), "fail", "pass", id="much worse there"),
        pytest.param(answered(14), answered(8), "inconclusive", "pass", id="it cannot be told"),
        pytest.param(CHANCE, answered(8), "fail", "inconclusive", id="at chance"),
    ],
)
def test_a_pupil_must_be_as_good_as_its_teacher_in_each_other_place(
    side: Sides, ours: Floats, teacher: Floats, accuracy: str, chance: str
):
    found = _elsewhere(_asked(side, ours, teacher))
    assert found["accuracy"].verdict == accuracy
    assert found["accuracy"].text.startswith("Accuracy on clinic-b is ")
    assert found["accuracy"].limit == 0.05
    assert found["accuracy"].images == ()
    assert "test images" not in found["accuracy"].text
    assert found["chance"].verdict in (chance, "fail")


@pytest.mark.parametrize("ours", [answered(8), CHANCE], ids=["a good pupil", "a bad one"])
def test_where_the_teacher_is_at_chance_nothing_can_be_shown(side: Sides, ours: Floats):
    question = _asked(side, ours, CHANCE)
    found = _elsewhere(question)
    assert set(found) == {"chance"}
    assert found["chance"].verdict == "inconclusive"
    assert found["chance"].text.startswith("Nothing can be shown on clinic-b: big is not shown")
    assert "200 clinic-b images" in found["chance"].text
    assert decide(question).verdict == "inconclusive"


def test_a_place_where_the_pupil_was_not_judged_is_no_pass(side: Sides):
    found = _elsewhere(_asked(side, None, answered(8)))
    assert {each.verdict for each in found.values()} == {"inconclusive"}


@pytest.mark.parametrize(
    ("correlation", "verdict"), [(0.9, "pass"), (0.7, "fail"), (0.82, "inconclusive"), (None, None)]
)
@pytest.mark.parametrize("labelled", [False, True])
def test_fidelity_is_asked_where_the_recipe_says_so(
    side: Sides, correlation: float | None, verdict: str | None, labelled: bool
):
    gate = ExternalGate(margins=Margins(), fidelity=0.8)
    found = _elsewhere(_asked(side, answered(8), answered(8), gate, correlation, labelled=labelled))
    assert set(found) == {"external_fidelity"}
    finding = found["external_fidelity"]
    assert finding.verdict == (verdict or "inconclusive")
    assert bool(plot(finding)) == (correlation is not None)


def test_images_without_labels_are_not_asked_for_margins(side: Sides):
    question = _asked(side, answered(8), answered(8), labelled=False)
    assert not _elsewhere(question)
    (case,), (place,) = question.cases, question.external
    assert not differences(question, case, place)


def test_margins_may_be_others_elsewhere(side: Sides):
    gate = ExternalGate(margins=Margins(accuracy=0.3))
    found = _elsewhere(_asked(side, answered(40), answered(8), gate))
    assert (found["accuracy"].verdict, found["accuracy"].limit) == ("pass", 0.3)


def test_what_is_asked_at_home_stays_the_same(side: Sides):
    question = _asked(side, answered(70), answered(8))
    here = [each for each in told(decide(question)) if not each.external]
    assert here == list(told(decide(question.model_copy(update={"external": ()}))))
    where = [row["where"] for row in gate_rows(decide(question))]
    assert "clinic-b" in where


def test_differences_are_paired_and_told_by_group(side: Sides):
    question = _asked(side, answered(40, first=160), answered(8))
    (case,), (place,) = question.cases, question.external
    found = differences(question, case, place)
    assert set(found) == {"accuracy", "auc", "sensitivity", "specificity"}
    assert found["accuracy"].value == pytest.approx(-32 / IMAGES)
    assert found["accuracy"].low < found["accuracy"].value < found["accuracy"].high < 0
    north = differences(question, case, place, ("site", "north"))
    assert north["accuracy"].value == pytest.approx((8 - 20) / 180)


def test_of_one_class_alone_what_needs_both_is_left_out(side: Sides):
    question = _asked(side, answered(8), answered(8))
    (place,) = question.external
    rows = np.flatnonzero(LABELS == 0)
    alone = tuple(int(label) for label in LABELS[rows])
    images = place.images.model_copy(
        update={"labels": alone, "paths": place.images.paths[: len(rows)], "columns": {}}
    )
    for each in place.answers:
        np.save(each.probabilities, np.load(each.probabilities)[rows])
    there = place.model_copy(update={"images": images})
    (case,) = question.cases
    assert set(differences(question, case, there)) == {"accuracy", "sensitivity"}
    asked_there = question.model_copy(update={"external": (there,)})
    assert set(_elsewhere(asked_there)) == {"chance"}
    assert decide(asked_there).verdict == "inconclusive"
