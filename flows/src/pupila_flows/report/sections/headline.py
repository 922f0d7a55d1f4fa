"""The report's headline: the gate's verdict; without a gate, whether one pupil keeps its accuracy.

In another task, the fraction of images answered right takes the place of accuracy. The pupil is
chosen on the validation images and tested once on the test images. If the pupil is worse than its
teacher by the margin, the headline may wrongly say that the pupil keeps its accuracy. This error
happens in at most one run of forty. If the best of several pupils were chosen on the test images,
the error would be more frequent: with eight pupils, it would happen in one run of five.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from pupila.evaluation import Estimate
from pupila.exact import as_written, exact
from pupila.noninferiority import Comparison
from pupila.task import TaskMethods
from pupila_flows.report import figures, formatting
from pupila_flows.report.lineage import EvaluatedArtifact, Lineage
from pupila_flows.report.predictions import MARGIN, RunPredictions
from pupila_flows.results import GateResult, RunResult

NEAR = 0.02
"""Largest loss on the validation images at which a pupil counts as close to its teacher."""

_POINTS = f"{100 * MARGIN:.0f} points"
BADGE = f"shown within {_POINTS}"
_PASSED = "smallest that passes the gate"
_PASSES = "“Passes” means: met every condition of the recipe’s release gate, below."

_Pair = tuple[EvaluatedArtifact, EvaluatedArtifact]
"""A pupil and its teacher."""


@dataclass(frozen=True)
class Headline:
    """The headline in words; `pupil` and `teacher` are None if there is nothing to compare."""

    title: str
    sentence: str
    keeps: bool = False
    """Whether the pupil is shown to keep its accuracy; with a gate, whether it passed the gate."""
    pupil: EvaluatedArtifact | None = None
    teacher: EvaluatedArtifact | None = None
    difference: Estimate | None = None
    """Accuracy of the pupil minus that of the teacher, on the same images."""
    badge: str = BADGE
    """Label of the pupil in legends."""
    meaning: str = ""
    """Explanation of the words that the title uses."""


def headline(result: RunResult, lineage: Lineage, predictions: RunPredictions) -> Headline:
    """Return the gate's verdict; without a gate, whether the chosen pupil keeps its accuracy.

    Without a gate, the smallest pupil that is close to its teacher on the validation images is
    chosen. If no pupil is close, the closest one is chosen. Of two pupils of the same size, one
    that ships a threshold wins. Pupils that were trained without some images are left out, and so
    are pupils made from them.
    """
    if result.gate:
        return _by_gate(result.gate, lineage, predictions)
    pairs = [
        (pupil, teacher)
        for pupil in lineage.pupils()
        if (teacher := lineage.reference(pupil.entry)) and not lineage.is_partial(pupil.entry)
    ]
    if not pairs:
        return _without_pupils(result, lineage, predictions.task)
    pupil, teacher = _choose(pairs, result)
    comparison = predictions.compare(pupil.name, teacher.name)
    keeps = comparison is not None and comparison.noninferior
    if keeps or is_near(pupil, teacher, result):
        title = _title(pupil, teacher, comparison, predictions.task)
    else:
        title = (
            f"No pupil comes within {100 * NEAR:.0f} points of its teacher on the validation "
            f"images; {pupil.name} comes closest"
        )
    difference = comparison.difference if comparison else None
    return Headline(
        title=title,
        sentence=_sentence(pupil, teacher, difference, predictions.task),
        keeps=keeps,
        pupil=pupil,
        teacher=teacher,
        difference=difference,
        meaning=_keeps(predictions.task),
    )


def _keeps(task: TaskMethods) -> str:
    """Explain the word “keeps” in a title."""
    return (
        f"“Keeps” means: shown to lose less than {_POINTS} of {task.right_title}, by the exact "
        f"test of the release gate, with both models as they ship. The pupil was chosen on the "
        f"validation images (the smallest within {100 * NEAR:.0f} points of its teacher there, "
        f"else the closest), so this is the only test on the test images. It holds for images "
        f"like these."
    )


def _choose(pairs: list[_Pair], result: RunResult) -> _Pair:
    """Choose a pupil by size and validation accuracy; without validation images, by size only."""
    losses = [_validation_loss(*pair, result) for pair in pairs]
    with_loss = [(loss, pair) for loss, pair in zip(losses, pairs, strict=True) if loss is not None]
    if not with_loss or any(is_near(*pair, result) for _, pair in with_loss):
        among = [pair for _, pair in with_loss if is_near(*pair, result)] or pairs
        return min(among, key=lambda pair: _size(pair[0]))
    return min(with_loss, key=lambda candidate: (candidate[0], _size(candidate[1][0])))[1]


def is_near(pupil: EvaluatedArtifact, teacher: EvaluatedArtifact, result: RunResult) -> bool:
    """Return whether a pupil's loss on the validation images is unknown or at most `NEAR`."""
    loss = _validation_loss(pupil, teacher, result)
    return loss is None or loss <= as_written(NEAR)


def _validation_loss(
    pupil: EvaluatedArtifact, teacher: EvaluatedArtifact, result: RunResult
) -> Fraction | None:
    """Return a pupil's exact loss of accuracy on the validation images."""
    mine, theirs = pupil.evaluation.validation, teacher.evaluation.validation
    images = sum(result.data.counts.get("validation", {}).values())
    if mine is None or theirs is None or not images:
        return None
    return exact(theirs.value, images) - exact(mine.value, images)


def _by_gate(gate: GateResult, lineage: Lineage, predictions: RunPredictions) -> Headline:
    """Return the headline on the smallest artifact that passed, else on the closest to passing."""
    verdicts = {artifact.entry: artifact.verdict for artifact in gate.artifacts}
    artifacts = {artifact.name: artifact for artifact in lineage.evaluated()}
    passed = [artifacts[name] for name in artifacts if verdicts.get(name) == "pass"]
    pupil = min(passed, key=_size) if passed else artifacts.get(gate.best or "")
    teacher = lineage.reference(pupil.entry) if pupil else None
    difference = predictions.difference(pupil.name, teacher.name) if pupil and teacher else None
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
        closest = f"; {pupil.name} comes closest" if pupil else ""
        title = f"Nothing passes the release gate{closest}"
    return Headline(
        title=title,
        sentence=_sentence(pupil, teacher, difference, predictions.task) + by_one_rule
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
    """Return a sentence with the gate's accuracies, if they differ from those of the headline.

    The gate uses one threshold rule for both models.
    """
    for artifact in gate.artifacts:
        for finding in artifact.findings:
            subject = artifact.entry, finding.condition, finding.against, finding.where
            if subject != (pupil.name, "accuracy", teacher.name, "") or not finding.difference:
                continue
            pair = (finding.value, _accuracy(pupil)), (finding.other, _accuracy(teacher))
            if all(value is None or math.isclose(value, own.value) for value, own in pair):
                return ""
            points = formatting.points(finding.difference.value)
            interval = formatting.points_interval(finding.difference)
            return (
                f" That is as they ship; with one threshold rule for both, as in the gate, it is "
                f"{formatting.percent(finding.value)}, against "
                f"{formatting.percent(finding.value - finding.difference.value)}: "
                f"{points} points ({interval})."
            )
    return ""


def goal_of(result: RunResult, lineage: Lineage) -> str:
    """Say in one sentence what the recipe was for."""
    teachers = [
        entry.name
        for entry in result.entries
        if entry.kind == "teacher" and not entry.not_evaluated
    ]
    steps = [entry for entry in lineage.entries.values() if entry.kind == "step"]
    images = sum(sum(split.values()) for split in result.data.counts.values())
    data = f"{formatting.plural(images, 'image')} of {formatting.listed(list(result.data.classes))}"
    if not steps:
        return f"Evaluate {formatting.listed(teachers)} on {data}."
    plugins = formatting.listed(list(dict.fromkeys(step.uses for step in steps)))
    goal = f"Make {formatting.listed(teachers)} smaller" if teachers else "Make models"
    return f"{goal} in {formatting.plural(len(steps), 'step')} ({plugins}), on {data}."


def _title(
    pupil: EvaluatedArtifact,
    teacher: EvaluatedArtifact,
    comparison: Comparison | None,
    task: TaskMethods,
) -> str:
    quality = task.right_title
    smaller = f"{pupil.name} is {formatting.smaller(teacher.size_bytes, pupil.size_bytes)}"
    if comparison and comparison.noninferior:
        return f"{smaller} {teacher.name} and keeps its {quality} within {_POINTS}"
    loss = -_change(pupil, teacher)
    amount = f"{100 * float(loss):.1f} points of" if loss > 0 else "no"
    if comparison and comparison.inferior:
        conclusion = f"shown to be more than {_POINTS}"
    elif loss > as_written(MARGIN):
        conclusion = f"it is not shown to keep within {_POINTS}"
    else:
        conclusion = f"more images are needed to show that it keeps within {_POINTS}"
    return f"{smaller} {teacher.name} and loses {amount} {quality} here; {conclusion}"


def _size(pupil: EvaluatedArtifact) -> tuple[int, bool]:
    record = pupil.entry.record
    return pupil.size_bytes, record is None or record.threshold is None


def _sentence(
    pupil: EvaluatedArtifact,
    teacher: EvaluatedArtifact | None,
    difference: Estimate | None,
    task: TaskMethods,
) -> str:
    images = formatting.plural(pupil.evaluation.metrics.images, "test image")
    against = f", against {_right_words(teacher, task)}" if teacher else ""
    words = f"{_right_words(pupil, task)}{against}, on {images}"
    points = ""
    if difference:
        change, interval = difference.value, formatting.points_interval(difference)
        points = f": a paired difference of {formatting.points(change)} points ({interval})"
    return f"{words}{points}.{_figures_sentence(pupil, teacher)}"


def _figures_sentence(pupil: EvaluatedArtifact, teacher: EvaluatedArtifact | None) -> str:
    """Return a sentence with the first figure of a task without classes; empty if it has none."""
    shown = [
        f"{artifact.name}: {words}"
        for artifact in (pupil, teacher)
        if artifact
        for words in _first_figure(artifact)
    ]
    return f" {'; '.join(shown)}." if shown else ""


def _change(pupil: EvaluatedArtifact, teacher: EvaluatedArtifact) -> Fraction:
    """Return the pupil's exact gain of accuracy on the test images."""
    return _right(pupil) - _right(teacher)


def _right(artifact: EvaluatedArtifact) -> Fraction:
    return exact(_accuracy(artifact).value, artifact.evaluation.metrics.images)


def _without_pupils(result: RunResult, lineage: Lineage, task: TaskMethods) -> Headline:
    artifacts = lineage.evaluated()
    if not artifacts:
        failed = sum(1 for entry in result.entries if entry.error)
        sentence = f"{formatting.plural(failed, 'entry').replace('entrys', 'entries')} failed."
        return Headline("Nothing was evaluated in this run", sentence if failed else "")
    words = "; ".join(
        ", ".join([f"{artifact.name}: {_right_words(artifact, task)}", *_first_figure(artifact)])
        for artifact in artifacts
    )
    images = formatting.plural(artifacts[0].evaluation.metrics.images, "test image")
    return Headline("No pupil to compare with a teacher", f"{words}, on {images}.")


def _accuracy(artifact: EvaluatedArtifact) -> Estimate:
    return artifact.evaluation.metrics.accuracy


def _right_words(artifact: EvaluatedArtifact, task: TaskMethods) -> str:
    right = _accuracy(artifact)
    interval = formatting.percent_interval(right)
    return f"{formatting.percent(right.value)} {task.right_title} (95 % interval {interval})"


def _first_figure(artifact: EvaluatedArtifact) -> list[str]:
    return [figures.words(figure) for figure in artifact.evaluation.metrics.figures[:1]]
