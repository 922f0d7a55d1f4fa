"""The sentence on top: what the gate says; without one, the smallest that keeps its accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from pupila.evaluation import Estimate
from pupila.exact import as_written, exact
from pupila_flows.report import formatting
from pupila_flows.report.lineage import Judged, Lineage
from pupila_flows.report.predictions import Answers
from pupila_flows.results import GateResult, RunResult

MARGIN = 0.05
"""Largest loss of accuracy that still counts as keeping it: it must be shown to be no larger."""
NEAR = 0.02
"""Largest loss on the test images themselves at which a pupil is put forward without that."""

_POINTS = f"{100 * MARGIN:.0f} points"
BADGE = f"smallest within {_POINTS}"
KEEPS = (
    f"“Keeps” means here: shown to lose at most {_POINTS} of accuracy, that is, the 95 % interval "
    f"of the paired difference from the teacher begins no lower. It holds for images like these."
)
_PASSED = "smallest that passes the gate"
_PASSES = "“Passes” means here: met every condition of the recipe’s release gate, below."


@dataclass(frozen=True)
class Headline:
    """The verdict; `pupil` and `teacher` are None where there is nothing to compare."""

    title: str
    sentence: str
    keeps: bool = False
    pupil: Judged | None = None
    teacher: Judged | None = None
    difference: Estimate | None = None
    """Accuracy of the pupil less that of the teacher, on the same images."""
    badge: str = BADGE
    """What the pupil is, in a legend."""
    meaning: str = KEEPS
    """What the title's words mean."""


def headline(result: RunResult, lineage: Lineage, answers: Answers) -> Headline:
    """Say what the gate says; without a gate, which is the smallest pupil shown to keep accuracy.

    Without such a pupil, it is the smallest that comes near on these images, else the nearest. What
    was not shown all images, or was made from such a step, is there to be compared with and is not
    chosen; of two of one size it is the one that ships a threshold.
    """
    if result.gate:
        return _by_gate(result.gate, lineage, answers)
    pairs = [
        (pupil, teacher)
        for pupil in lineage.pupils()
        if (teacher := lineage.reference(pupil.entry)) and not lineage.is_partial(pupil.entry)
    ]
    if not pairs:
        return _without_pupils(result, lineage)
    keeping = [pair for pair in pairs if keeps_accuracy(*pair, answers)]
    near = [pair for pair in pairs if _change(*pair) >= -as_written(NEAR)]
    if keeping or near:
        pupil, teacher = min(keeping or near, key=lambda pair: _size(pair[0]))
        title = _put_forward(pupil, teacher, keeps=bool(keeping))
    else:
        pupil, teacher = max(pairs, key=lambda pair: _change(*pair))
        title = (
            f"No pupil comes within {100 * NEAR:.0f} points of its teacher; "
            f"{pupil.name} comes nearest"
        )
    difference = answers.difference(pupil.name, teacher.name)
    return Headline(
        title=title,
        sentence=_sentence(pupil, teacher, difference),
        keeps=bool(keeping),
        pupil=pupil,
        teacher=teacher,
        difference=difference,
    )


def _by_gate(gate: GateResult, lineage: Lineage, answers: Answers) -> Headline:
    """Put the smallest forward that passed, else what came nearest."""
    verdicts = {each.entry: each.verdict for each in gate.artifacts}
    judged = {each.name: each for each in lineage.judged()}
    passed = [judged[name] for name in judged if verdicts.get(name) == "pass"]
    pupil = min(passed, key=_size) if passed else judged.get(gate.best or "")
    teacher = lineage.reference(pupil.entry) if pupil else None
    difference = answers.difference(pupil.name, teacher.name) if pupil and teacher else None
    unmet = [f"{name} ({verdict})" for name, verdict in verdicts.items() if verdict != "pass"]
    if pupil and passed:
        smaller = (
            f" is {formatting.smaller(teacher.size_bytes, pupil.size_bytes)} {teacher.name} and"
            if teacher
            else ""
        )
        others = f"; the run does not, for {formatting.listed(unmet)}" if unmet else ""
        title = f"{pupil.name}{smaller} passes the release gate{others}"
    else:
        nearest = f"; {pupil.name} comes nearest" if pupil else ""
        title = f"Nothing passes the release gate{nearest}"
    return Headline(
        title=title,
        sentence=_sentence(pupil, teacher, difference) if pupil else gate.reason or "",
        keeps=bool(passed),
        pupil=pupil,
        teacher=teacher,
        difference=difference,
        badge=_PASSED,
        meaning=_PASSES,
    )


def asked(result: RunResult, lineage: Lineage) -> str:
    """Say in one sentence what the recipe asked for."""
    teachers = [
        entry.name for entry in result.entries if entry.kind == "teacher" and not entry.unjudged
    ]
    steps = [entry for entry in lineage.entries.values() if entry.kind == "step"]
    images = sum(sum(split.values()) for split in result.data.counts.values())
    data = f"{formatting.plural(images, 'image')} of {formatting.listed(list(result.data.classes))}"
    if not steps:
        return f"Judge {formatting.listed(teachers)} on {data}."
    plugins = formatting.listed(list(dict.fromkeys(step.uses for step in steps)))
    goal = f"Make {formatting.listed(teachers)} smaller" if teachers else "Make models"
    return f"{goal} in {formatting.plural(len(steps), 'step')} ({plugins}), on {data}."


def keeps_accuracy(pupil: Judged, teacher: Judged, answers: Answers) -> bool:
    """True where the pupil is shown to lose at most `MARGIN`; False without both predictions."""
    difference = answers.difference(pupil.name, teacher.name)
    return difference is not None and difference.low >= -MARGIN


def _put_forward(pupil: Judged, teacher: Judged, *, keeps: bool) -> str:
    smaller = f"{pupil.name} is {formatting.smaller(teacher.size_bytes, pupil.size_bytes)}"
    if keeps:
        return f"{smaller} {teacher.name} and keeps its accuracy within {_POINTS}"
    loss = -_change(pupil, teacher)
    lost = f"{100 * float(loss):.1f} points of" if loss > 0 else "no"
    return (
        f"{smaller} {teacher.name} and loses {lost} accuracy here; more images are needed to show "
        f"that it keeps within {_POINTS}"
    )


def _size(pupil: Judged) -> tuple[int, bool]:
    record = pupil.entry.record
    return pupil.size_bytes, record is None or record.threshold is None


def _sentence(pupil: Judged, teacher: Judged | None, difference: Estimate | None) -> str:
    images = formatting.plural(pupil.evaluation.metrics.images, "test image")
    against = f", against {_accuracy_words(teacher)}" if teacher else ""
    words = f"{_accuracy_words(pupil)}{against}, on {images}"
    if difference is None:
        return f"{words}."
    points = (
        f"{formatting.points(difference.value)} points ({formatting.points_interval(difference)})"
    )
    return f"{words}: image by image a difference of {points}."


def _change(pupil: Judged, teacher: Judged) -> Fraction:
    """Return what the pupil gains on the test images, exactly."""
    return _right(pupil) - _right(teacher)


def _right(judged: Judged) -> Fraction:
    return exact(_accuracy(judged).value, judged.evaluation.metrics.images)


def _without_pupils(result: RunResult, lineage: Lineage) -> Headline:
    judged = lineage.judged()
    if not judged:
        failed = sum(1 for entry in result.entries if entry.error)
        sentence = f"{formatting.plural(failed, 'entry').replace('entrys', 'entries')} failed."
        return Headline("Nothing was judged in this run", sentence if failed else "")
    words = "; ".join(f"{each.name}: {_accuracy_words(each)}" for each in judged)
    images = formatting.plural(judged[0].evaluation.metrics.images, "test image")
    return Headline("No pupil to compare with a teacher", f"{words}, on {images}.")


def _accuracy(judged: Judged) -> Estimate:
    return judged.evaluation.metrics.accuracy


def _accuracy_words(judged: Judged) -> str:
    accuracy = _accuracy(judged)
    interval = formatting.percent_interval(accuracy)
    return f"{formatting.percent(accuracy.value)} accuracy (95 % interval {interval})"
