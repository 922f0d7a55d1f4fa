"""The sentence on top: what the gate says; without one, what is shown of one pupil's accuracy.

That pupil is chosen on the validation images and tested once on the test images. Were it the best
of several there, one that is worse by the margin would be said to keep its accuracy in more than
one run of forty: with eight of them, in every fifth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from pupila.evaluation import Estimate
from pupila.exact import as_written, exact
from pupila.noninferiority import Comparison
from pupila_flows.report import formatting
from pupila_flows.report.lineage import EvaluatedArtifact, Lineage
from pupila_flows.report.predictions import MARGIN, Answers
from pupila_flows.results import GateResult, RunResult

NEAR = 0.02
"""Largest loss on the validation images at which a smaller pupil is put forward."""

_POINTS = f"{100 * MARGIN:.0f} points"
BADGE = f"shown within {_POINTS}"
KEEPS = (
    f"“Keeps” means here: shown to lose less than {_POINTS} of accuracy, by the exact test that "
    f"the release gate uses, of both models as they ship. The pupil was chosen on the validation "
    f"images (the smallest within {100 * NEAR:.0f} points of its teacher there, else the nearest), "
    f"so that this is the only test on the test images. It holds for images like these."
)
_PASSED = "smallest that passes the gate"
_PASSES = "“Passes” means here: met every condition of the recipe’s release gate, below."

_Pair = tuple[EvaluatedArtifact, EvaluatedArtifact]
"""A pupil and its teacher."""


@dataclass(frozen=True)
class Headline:
    """The verdict; `pupil` and `teacher` are None where there is nothing to compare."""

    title: str
    sentence: str
    keeps: bool = False
    pupil: EvaluatedArtifact | None = None
    teacher: EvaluatedArtifact | None = None
    difference: Estimate | None = None
    """Accuracy of the pupil less that of the teacher, on the same images."""
    badge: str = BADGE
    """What the pupil is, in a legend."""
    meaning: str = KEEPS
    """What the title's words mean."""


def headline(result: RunResult, lineage: Lineage, answers: Answers) -> Headline:
    """Say what the gate says; without one, whether the pupil put forward keeps its accuracy.

    That is the smallest that comes near its teacher on the validation images, else the nearest.
    What was not shown all images, or was made from such a step, is there to be compared with and is
    not chosen; of two of one size it is the one that ships a threshold.
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
    pupil, teacher = _put_forward(pairs, result)
    comparison = answers.comparison(pupil.name, teacher.name)
    keeps = comparison is not None and comparison.noninferior
    if keeps or is_near(pupil, teacher, result):
        title = _title(pupil, teacher, comparison)
    else:
        title = (
            f"No pupil comes within {100 * NEAR:.0f} points of its teacher on the validation "
            f"images; {pupil.name} comes nearest"
        )
    difference = comparison.difference if comparison else None
    return Headline(
        title=title,
        sentence=_sentence(pupil, teacher, difference),
        keeps=keeps,
        pupil=pupil,
        teacher=teacher,
        difference=difference,
    )


def _put_forward(pairs: list[_Pair], result: RunResult) -> _Pair:
    """Choose by size and by the validation images; where there are none, by size alone."""
    losses = [_validation_loss(*pair, result) for pair in pairs]
    known = [(loss, pair) for loss, pair in zip(losses, pairs, strict=True) if loss is not None]
    if not known or any(is_near(*pair, result) for _, pair in known):
        among = [pair for _, pair in known if is_near(*pair, result)] or pairs
        return min(among, key=lambda pair: _size(pair[0]))
    return min(known, key=lambda each: (each[0], _size(each[1][0])))[1]


def is_near(pupil: EvaluatedArtifact, teacher: EvaluatedArtifact, result: RunResult) -> bool:
    """True where a pupil loses at most `NEAR` on the validation images, or nobody knows."""
    loss = _validation_loss(pupil, teacher, result)
    return loss is None or loss <= as_written(NEAR)


def _validation_loss(
    pupil: EvaluatedArtifact, teacher: EvaluatedArtifact, result: RunResult
) -> Fraction | None:
    """Return what a pupil loses on the validation images, exactly."""
    mine, theirs = pupil.evaluation.validation, teacher.evaluation.validation
    images = sum(result.data.counts.get("validation", {}).values())
    if mine is None or theirs is None or not images:
        return None
    return exact(theirs.value, images) - exact(mine.value, images)


def _by_gate(gate: GateResult, lineage: Lineage, answers: Answers) -> Headline:
    """Put the smallest forward that passed, else what came nearest."""
    verdicts = {each.entry: each.verdict for each in gate.artifacts}
    judged = {each.name: each for each in lineage.judged()}
    passed = [judged[name] for name in judged if verdicts.get(name) == "pass"]
    pupil = min(passed, key=_size) if passed else judged.get(gate.best or "")
    teacher = lineage.reference(pupil.entry) if pupil else None
    difference = answers.difference(pupil.name, teacher.name) if pupil and teacher else None
    by_one_rule = _by_one_rule(gate, pupil, teacher) if pupil and teacher else ""
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
        sentence=_sentence(pupil, teacher, difference) + by_one_rule
        if pupil
        else gate.reason or "",
        keeps=bool(passed),
        pupil=pupil,
        teacher=teacher,
        difference=difference,
        badge=_PASSED,
        meaning=_PASSES,
    )


def _by_one_rule(gate: GateResult, pupil: EvaluatedArtifact, teacher: EvaluatedArtifact) -> str:
    """Say what the gate found of accuracy, where its rule for both gives other answers."""
    for artifact in gate.artifacts:
        for found in artifact.findings:
            asked = artifact.entry, found.condition, found.against, found.where
            if asked != (pupil.name, "accuracy", teacher.name, "") or not found.difference:
                continue
            pair = (found.value, _accuracy(pupil)), (found.other, _accuracy(teacher))
            if all(value is None or math.isclose(value, own.value) for value, own in pair):
                return ""
            points = formatting.points(found.difference.value)
            interval = formatting.points_interval(found.difference)
            return (
                f" So they ship; read by one rule, as in the gate, it is "
                f"{formatting.percent(found.value)}, against "
                f"{formatting.percent(found.value - found.difference.value)}: "
                f"{points} points ({interval})."
            )
    return ""


def asked(result: RunResult, lineage: Lineage) -> str:
    """Say in one sentence what the recipe asked for."""
    teachers = [
        entry.name
        for entry in result.entries
        if entry.kind == "teacher" and not entry.not_evaluated
    ]
    steps = [entry for entry in lineage.entries.values() if entry.kind == "step"]
    images = sum(sum(split.values()) for split in result.data.counts.values())
    data = f"{formatting.plural(images, 'image')} of {formatting.listed(list(result.data.classes))}"
    if not steps:
        return f"Judge {formatting.listed(teachers)} on {data}."
    plugins = formatting.listed(list(dict.fromkeys(step.uses for step in steps)))
    goal = f"Make {formatting.listed(teachers)} smaller" if teachers else "Make models"
    return f"{goal} in {formatting.plural(len(steps), 'step')} ({plugins}), on {data}."


def _title(
    pupil: EvaluatedArtifact, teacher: EvaluatedArtifact, comparison: Comparison | None
) -> str:
    smaller = f"{pupil.name} is {formatting.smaller(teacher.size_bytes, pupil.size_bytes)}"
    if comparison and comparison.noninferior:
        return f"{smaller} {teacher.name} and keeps its accuracy within {_POINTS}"
    loss = -_change(pupil, teacher)
    lost = f"{100 * float(loss):.1f} points of" if loss > 0 else "no"
    if comparison and comparison.inferior:
        shown = f"shown to be more than {_POINTS}"
    elif loss > as_written(MARGIN):
        shown = f"it is not shown to keep within {_POINTS}"
    else:
        shown = f"more images are needed to show that it keeps within {_POINTS}"
    return f"{smaller} {teacher.name} and loses {lost} accuracy here; {shown}"


def _size(pupil: EvaluatedArtifact) -> tuple[int, bool]:
    record = pupil.entry.record
    return pupil.size_bytes, record is None or record.threshold is None


def _sentence(
    pupil: EvaluatedArtifact, teacher: EvaluatedArtifact | None, difference: Estimate | None
) -> str:
    images = formatting.plural(pupil.evaluation.metrics.images, "test image")
    against = f", against {_accuracy_words(teacher)}" if teacher else ""
    words = f"{_accuracy_words(pupil)}{against}, on {images}"
    if difference is None:
        return f"{words}."
    points = (
        f"{formatting.points(difference.value)} points ({formatting.points_interval(difference)})"
    )
    return f"{words}: image by image a difference of {points}."


def _change(pupil: EvaluatedArtifact, teacher: EvaluatedArtifact) -> Fraction:
    """Return what the pupil gains on the test images, exactly."""
    return _right(pupil) - _right(teacher)


def _right(judged: EvaluatedArtifact) -> Fraction:
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


def _accuracy(judged: EvaluatedArtifact) -> Estimate:
    return judged.evaluation.metrics.accuracy


def _accuracy_words(judged: EvaluatedArtifact) -> str:
    accuracy = _accuracy(judged)
    interval = formatting.percent_interval(accuracy)
    return f"{formatting.percent(accuracy.value)} accuracy (95 % interval {interval})"
