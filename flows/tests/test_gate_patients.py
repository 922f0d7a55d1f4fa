"""Images of one patient are not independent, and the gate does not take them for it."""

from __future__ import annotations

import numpy as np
from gate_cases import (
    IMAGES,
    LABELS,
    TEST,
    GateModels,
    findings_of,
    gate_inputs,
    scores_with_errors,
)

from pupila_flows.gate.decision import decide
from pupila_flows.gate.inputs import GateInputs
from pupila_flows.gate.messages import notes
from pupila_flows.gate.predictions import Rows
from pupila_flows.recipe.gate import GateSection, Limits, Margins

SECTION = GateSection(
    margins=Margins(accuracy=0.05, auc=0.05, sensitivity=0.08, specificity=0.08),
    limits=Limits(accuracy=0.9, agreement=0.9),
)


def of_patients(inputs: GateInputs, images_each: int) -> GateInputs:
    """Let so many images, one after another of a class, be those of one patient."""
    index = np.where(LABELS == 0, np.cumsum(LABELS == 0), np.cumsum(LABELS == 1)) - 1
    numbers: Rows = index // images_each
    names = tuple(f"{label}-{number}" for label, number in zip(LABELS, numbers, strict=True))
    test = TEST.model_copy(update={"patients": names})
    return inputs.model_copy(update={"test": test})


def test_every_figure_is_less_sure_where_images_are_of_the_same_patients(gate_model: GateModels):
    inputs = gate_inputs(
        SECTION,
        gate_model("int8", scores_with_errors(8, first=16)),
        gate_model("vgg", scores_with_errors(0)),
    )
    alone, shared = decide(inputs), decide(of_patients(inputs, 4))
    assert (alone.patients, shared.patients) == (None, IMAGES // 4)
    for single, grouped in zip(findings_of(alone), findings_of(shared), strict=True):
        assert single.value == grouped.value
        here, there = (finding.difference or finding.interval for finding in (grouped, single))
        assert here and there
        assert here.low < there.low


def test_one_image_of_each_patient_is_what_no_column_says(gate_model: GateModels):
    inputs = gate_inputs(
        SECTION, gate_model("int8", scores_with_errors(8)), gate_model("vgg", scores_with_errors(0))
    )
    single = of_patients(inputs, 1)
    for known, unknown in zip(
        findings_of(decide(single)), findings_of(decide(inputs)), strict=True
    ):
        assert (known.verdict, known.value) == (unknown.verdict, unknown.value)
        assert known.condition == "auc" or known == unknown
    (note,) = notes(decide(single))
    assert note == f"Tests and intervals are by patient: the images are of {IMAGES} patients."


def test_one_patient_is_one(gate_model: GateModels):
    inputs = gate_inputs(
        SECTION, gate_model("int8", scores_with_errors(8)), gate_model("vgg", scores_with_errors(0))
    )
    test = TEST.model_copy(update={"patients": ("ada",) * IMAGES})
    (note,) = notes(decide(inputs.model_copy(update={"test": test})))
    assert note == "Tests and intervals are by patient: the images are of one patient."


def test_many_images_of_two_patients_of_each_class_show_nothing_to_be_above_chance(
    gate_model: GateModels,
):
    inputs = gate_inputs(
        SECTION, gate_model("int8", scores_with_errors(0)), gate_model("vgg", scores_with_errors(0))
    )
    few = of_patients(inputs, IMAGES // 4)
    floors = [
        finding
        for artifact in decide(few).artifacts
        for finding in artifact.findings
        if finding.condition == "chance"
    ]
    assert [finding.verdict for finding in floors] == ["inconclusive", "inconclusive"]
    assert all("one of each patient" in finding.text for finding in floors)
