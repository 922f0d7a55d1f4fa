"""The gate's conditions on external sets: accuracy and logits must be close to the teacher's."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.evaluation import Estimate
from pupila_flows.gate import messages
from pupila_flows.gate.comparing import compare_metrics
from pupila_flows.gate.conditions import ELSEWHERE
from pupila_flows.gate.inputs import Case, GateExternalSet, GateInputs, GateModel
from pupila_flows.gate.predictions import ModelPredictions
from pupila_flows.recipe.gate import default_margins
from pupila_flows.results import Finding

_TEACHER = "the teacher"


def check_external(inputs: GateInputs, case: Case) -> Iterator[Finding]:
    """Compare an artifact with its teacher on each external set, and yield the findings.

    On sets with labels, the gate's margins are checked. If the teacher is not above chance on a
    set, one inconclusive finding replaces the findings on the margins. If the gate requires
    fidelity, the correlation of the logits is checked on each set.
    """
    floor = inputs.section.external.fidelity
    for external in inputs.external:
        if external.labelled:
            yield from _margins(inputs, case, external)
        if floor is not None:
            yield _fidelity(inputs, case, external, floor)


def differences(
    inputs: GateInputs, case: Case, external: GateExternalSet, group: tuple[str, str] | None = None
) -> dict[str, Estimate]:
    """Return the paired differences, artifact minus teacher, on an external set, by metric.

    The differences are computed as in the gate. If `group` is a column and a value, only the images
    with that value in that column count. Metrics that cannot be compared are left out. Without
    labels, the result is empty.
    """
    pair = _pair(inputs, case, external) if external.labelled else None
    if pair is None:
        return {}
    inputs, ours, theirs = pair
    margins = default_margins(inputs.task).asked  # the differences do not depend on them
    findings = compare_metrics(
        inputs, ours, theirs, theirs.model.name, group, margins, external.name
    )
    return {finding.condition: finding.difference for finding in findings if finding.difference}


def _margins(inputs: GateInputs, case: Case, external: GateExternalSet) -> Iterator[Finding]:
    margins = inputs.section.on_external.asked
    if not margins:
        return
    pair = _pair(inputs, case, external)
    if pair is None:
        against = case.teacher.name if case.teacher else _TEACHER
        for field, margin in margins.items():
            yield messages.not_comparable(
                field, margin, inputs.task, None, against, external=external.name
            )
        return
    inputs, ours, theirs = pair
    teacher, own = theirs.chance(), ours.chance()
    if teacher and not teacher.above:
        yield messages.nothing_to_show(teacher, theirs.model, external.name)
        return
    yield from compare_metrics(
        inputs, ours, theirs, theirs.model.name, None, margins, external.name
    )
    if own:
        yield messages.describe_chance(own, ours.model, None, external.name)


def _fidelity(inputs: GateInputs, case: Case, external: GateExternalSet, floor: float) -> Finding:
    predictions = external.predictions_of(case.entry)
    if case.teacher is None or predictions is None or predictions.correlation is None:
        against = case.teacher.name if case.teacher else _TEACHER
        return messages.not_comparable(
            ELSEWHERE.field, floor, inputs.task, None, against, external=external.name
        )
    return messages.describe_fidelity(
        case.teacher.name, predictions.correlation, floor, external.name
    )


def _pair(
    inputs: GateInputs, case: Case, external: GateExternalSet
) -> tuple[GateInputs, ModelPredictions, ModelPredictions] | None:
    """Return the inputs with the set as test images, and the predictions of artifact and teacher.

    Return None if the artifact or the teacher was not evaluated on the set.
    """
    ours, teacher = _model_on(case.artifact, case.entry, external), None
    if case.teacher:
        teacher = _model_on(case.teacher, case.teacher.name, external)
    if ours is None or teacher is None:
        return None
    inputs = inputs.model_copy(update={"test": external.images})
    own = ModelPredictions.of(inputs, ours)
    return inputs, own, ModelPredictions.of(inputs, teacher, like=own)


def _model_on(model: GateModel | None, name: str, external: GateExternalSet) -> GateModel | None:
    predictions = external.predictions_of(name)
    if model is None or predictions is None:
        return None
    evaluation = model.evaluation.model_copy(update={"probabilities": predictions.probabilities})
    return model.model_copy(update={"evaluation": evaluation})
