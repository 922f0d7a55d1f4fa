"""Images of one patient are not independent, and the gate does not take them for it."""

from __future__ import annotations

import numpy as np
from gate_cases import IMAGES, LABELS, TEST, Sides, answered, asked, told

from pupila_flows.gate.answers import Rows
from pupila_flows.gate.decision import decide
from pupila_flows.gate.inputs import Question
from pupila_flows.gate.messages import notes
from pupila_flows.recipe.gate import GateSection, Limits, Margins

SECTION = GateSection(
    margins=Margins(accuracy=0.05, auc=0.05, sensitivity=0.08, specificity=0.08),
    limits=Limits(accuracy=0.9, agreement=0.9),
)


def of_patients(question: Question, each: int) -> Question:
    """Let so many images, one after another of a class, be those of one patient."""
    place = np.where(LABELS == 0, np.cumsum(LABELS == 0), np.cumsum(LABELS == 1)) - 1
    numbers: Rows = place // each
    names = tuple(f"{label}-{number}" for label, number in zip(LABELS, numbers, strict=True))
    test = TEST.model_copy(update={"patients": names})
    return question.model_copy(update={"test": test})


def test_every_figure_is_less_sure_where_images_are_of_the_same_patients(side: Sides):
    question = asked(SECTION, side("int8", answered(8, first=16)), side("vgg", answered(0)))
    alone, shared = decide(question), decide(of_patients(question, 4))
    assert (alone.patients, shared.patients) == (None, IMAGES // 4)
    for single, grouped in zip(told(alone), told(shared), strict=True):
        assert single.value == grouped.value
        here, there = (each.difference or each.interval for each in (grouped, single))
        assert here and there
        assert here.low < there.low


def test_one_image_of_each_patient_is_what_no_column_says(side: Sides):
    question = asked(SECTION, side("int8", answered(8)), side("vgg", answered(0)))
    single = of_patients(question, 1)
    for known, unknown in zip(told(decide(single)), told(decide(question)), strict=True):
        assert (known.verdict, known.value) == (unknown.verdict, unknown.value)
        assert known.condition == "auc" or known == unknown
    (note,) = notes(decide(single))
    assert note == f"Tests and intervals count the {IMAGES} patients whose images these are."


def test_one_patient_is_one(side: Sides):
    question = asked(SECTION, side("int8", answered(8)), side("vgg", answered(0)))
    test = TEST.model_copy(update={"patients": ("ada",) * IMAGES})
    (note,) = notes(decide(question.model_copy(update={"test": test})))
    assert note == "Tests and intervals count the one patient whose images these are."


def test_many_images_of_two_patients_of_each_class_show_nothing_to_be_above_chance(side: Sides):
    question = asked(SECTION, side("int8", answered(0)), side("vgg", answered(0)))
    few = of_patients(question, IMAGES // 4)
    floors = [
        finding
        for artifact in decide(few).artifacts
        for finding in artifact.findings
        if finding.condition == "chance"
    ]
    assert [finding.verdict for finding in floors] == ["inconclusive", "inconclusive"]
    assert all("one of each patient" in finding.text for finding in floors)
