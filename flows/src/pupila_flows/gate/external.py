"""What the gate asks on images of other places: as good as the teacher there, and like it."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.chance import ChanceCheck, check_chance
from pupila.evaluation import Estimate
from pupila_flows.gate import messages
from pupila_flows.gate.answers import Answers
from pupila_flows.gate.comparing import comparisons
from pupila_flows.gate.conditions import ELSEWHERE
from pupila_flows.gate.inputs import Case, Place, Question, Side
from pupila_flows.results import Finding

MARGIN = 0.05
"""At which differences are shown where nobody asked for another margin."""
COMPARED: tuple[str, ...] = ("accuracy", "auc", "sensitivity", "specificity")
"""Figures of which differences are shown, in this order."""
_TEACHER = "the teacher"


def on_external(question: Question, case: Case) -> Iterator[Finding]:
    """Ask of an artifact that it is no worse than its teacher in each other place.

    Where the teacher itself is not above chance, nothing can be shown.
    """
    floor = question.section.external.fidelity
    for place in question.external:
        if place.labelled:
            yield from _margins(question, case, place)
        if floor is not None:
            yield _fidelity(case, place, floor)


def differences(
    question: Question, case: Case, place: Place, group: tuple[str, str] | None = None
) -> dict[str, Estimate]:
    """Return by how much each figure of an artifact differs from its teacher's in another place.

    Paired, read as the gate reads them; of all images, or of those with a value in a column. What
    cannot be compared is left out.
    """
    pair = _pair(question, case, place) if place.labelled else None
    if pair is None:
        return {}
    there, ours, theirs = pair
    margins: dict[str, float] = dict.fromkeys(COMPARED, MARGIN)
    found = comparisons(there, ours, theirs, theirs.side.name, group, margins, place.name)
    return {each.condition: each.difference for each in found if each.difference}


def _margins(question: Question, case: Case, place: Place) -> Iterator[Finding]:
    margins = question.section.on_external.asked
    if not margins:
        return
    pair = _pair(question, case, place)
    if pair is None:
        against = case.teacher.name if case.teacher else _TEACHER
        for field, margin in margins.items():
            yield messages.unasked(field, margin, None, against, external=place.name)
        return
    there, ours, theirs = pair
    known = _chance(there, theirs)
    if not known.above:
        yield messages.nothing_to_show(known, theirs.side, place.name)
        return
    yield from comparisons(there, ours, theirs, theirs.side.name, None, margins, place.name)
    yield messages.describe_chance(_chance(there, ours), ours.side, None, place.name)


def _fidelity(case: Case, place: Place, floor: float) -> Finding:
    answers = place.answers_of(case.entry)
    if case.teacher is None or answers is None or answers.correlation is None:
        against = case.teacher.name if case.teacher else _TEACHER
        return messages.unasked(ELSEWHERE.field, floor, None, against, external=place.name)
    return messages.describe_fidelity(case.teacher.name, answers.correlation, floor, place.name)


def _pair(question: Question, case: Case, place: Place) -> tuple[Question, Answers, Answers] | None:
    """Return what artifact and teacher answer there; None where one of them was not judged."""
    ours, teacher = _side(case.artifact, case.entry, place), None
    if case.teacher:
        teacher = _side(case.teacher, case.teacher.name, place)
    if ours is None or teacher is None:
        return None
    there = question.model_copy(update={"test": place.images})
    own = Answers.of(there, ours)
    return there, own, Answers.of(there, teacher, like=own)


def _side(side: Side | None, name: str, place: Place) -> Side | None:
    answers = place.answers_of(name)
    if side is None or answers is None:
        return None
    evaluation = side.evaluation.model_copy(update={"probabilities": answers.probabilities})
    return side.model_copy(update={"evaluation": evaluation})


def _chance(there: Question, answers: Answers) -> ChanceCheck:
    return check_chance(
        answers.scores, answers.labels, there.classes, there.positive, answers.patients
    )
