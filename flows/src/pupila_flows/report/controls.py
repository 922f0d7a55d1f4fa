"""What the teacher adds: each pupil beside the control that differs from it in that alone."""

from __future__ import annotations

from dataclasses import dataclass

from pupila.evaluation import Estimate
from pupila_flows.report.answers import Answers
from pupila_flows.report.lineage import Judged, Lineage
from pupila_flows.report.tables import Cell, plain_score
from pupila_flows.results import Entry


@dataclass(frozen=True)
class Comparison:
    """A pupil and a control of the same architecture and the same further steps."""

    pupil: str
    control: str
    difference: Estimate | None
    auc: tuple[Cell, Cell]
    verdict: str


def comparisons(lineage: Lineage, answers: Answers) -> list[Comparison]:
    """Pair each pupil with the control that differs from it only in having had no teacher.

    Alike are: the student that the first step trained (name, input, number of parameters), and
    the plugins that followed it.
    """
    controls = [each for each in lineage.judged() if lineage.is_control(each.entry)]
    return [
        _compare(pupil, control, answers)
        for control in controls
        for pupil in lineage.pupils()
        if _likeness(pupil.entry, lineage) == _likeness(control.entry, lineage)
    ]


def _likeness(entry: Entry, lineage: Lineage) -> tuple[object, ...]:
    root = lineage.root(entry)
    shape = (root.record.input, root.record.parameters) if root.record else None
    return (root.config.get("student"), shape, lineage.chain(entry))


def _compare(pupil: Judged, control: Judged, answers: Answers) -> Comparison:
    difference = answers.difference(pupil.name, control.name)
    mine, theirs = pupil.evaluation.metrics, control.evaluation.metrics
    return Comparison(
        pupil=pupil.name,
        control=control.name,
        difference=difference,
        auc=(plain_score(mine.auc), plain_score(theirs.auc)),
        verdict=_verdict(mine.accuracy, theirs.accuracy, difference),
    )


def _verdict(pupil: Estimate, control: Estimate, difference: Estimate | None) -> str:
    """Say what the intervals allow to be said, and no more."""
    overlap = pupil.low <= control.high and control.low <= pupil.high
    lead = "The intervals overlap" if overlap else "The intervals do not overlap"
    if difference is None:
        return f"{lead}: {'no difference is shown' if overlap else 'they differ'}."
    if difference.low <= 0 <= difference.high:
        return f"{lead}, and the paired difference may be nil: no benefit of the teacher is shown."
    better = "better with the teacher" if difference.value > 0 else "worse with the teacher"
    return f"{lead}; image by image it is {better}."
