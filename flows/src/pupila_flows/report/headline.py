"""The sentence on top: the smallest artifact that keeps its teacher's accuracy, in figures."""

from __future__ import annotations

from dataclasses import dataclass

from pupila.evaluation import Estimate
from pupila_flows.report import formats
from pupila_flows.report.answers import Answers
from pupila_flows.report.lineage import Judged, Lineage
from pupila_flows.results import RunResult

KEEPS = (
    "“Keeps” means here: the accuracy is not below the lower end of the teacher's 95 % interval. "
    "That describes these images; it is no proof of non-inferiority, which is the gate's to give."
)


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


def headline(result: RunResult, lineage: Lineage, answers: Answers) -> Headline:
    """Choose the smallest pupil that keeps its teacher's accuracy, else the most accurate one."""
    pairs = [
        (pupil, teacher)
        for pupil in lineage.pupils()
        if (teacher := lineage.reference(pupil.entry))
    ]
    if not pairs:
        return _without_pupils(result, lineage)
    keeping = [pair for pair in pairs if keeps_accuracy(*pair)]
    if keeping:
        pupil, teacher = min(keeping, key=lambda pair: pair[0].size_bytes)
    else:
        pupil, teacher = max(pairs, key=lambda pair: _accuracy(pair[0]).value)
    times = formats.smaller(teacher.size_bytes, pupil.size_bytes)
    title = (
        f"{pupil.name} is {times} {teacher.name} and keeps its accuracy"
        if keeping
        else f"No pupil keeps its teacher's accuracy; {pupil.name} comes nearest"
    )
    return Headline(
        title=title,
        sentence=f"{_accuracy_words(pupil)}, against {_accuracy_words(teacher)}, on "
        f"{formats.plural(pupil.evaluation.metrics.images, 'test image')}.",
        keeps=bool(keeping),
        pupil=pupil,
        teacher=teacher,
        difference=answers.difference(pupil.name, teacher.name),
    )


def asked(result: RunResult, lineage: Lineage) -> str:
    """Say in one sentence what the recipe asked for."""
    teachers = [entry.name for entry in result.entries if entry.kind == "teacher"]
    steps = [entry for entry in result.entries if entry.kind == "step"]
    images = sum(sum(split.values()) for split in result.data.counts.values())
    data = f"{formats.plural(images, 'image')} of {formats.listed(list(result.data.classes))}"
    if not steps:
        return f"Judge {formats.listed(teachers)} on {data}."
    plugins = formats.listed(list(dict.fromkeys(step.uses for step in steps)))
    whom = formats.listed(teachers) or "no teacher"
    return f"Make {whom} smaller in {formats.plural(len(steps), 'step')} ({plugins}), on {data}."


def keeps_accuracy(pupil: Judged, teacher: Judged) -> bool:
    """True where the pupil's accuracy is not below the lower end of the teacher's interval."""
    return _accuracy(pupil).value >= _accuracy(teacher).low


def _without_pupils(result: RunResult, lineage: Lineage) -> Headline:
    judged = lineage.judged()
    if not judged:
        failed = sum(1 for entry in result.entries if entry.error)
        sentence = f"{formats.plural(failed, 'entry').replace('entrys', 'entries')} failed."
        return Headline("Nothing was judged in this run", sentence if failed else "")
    words = "; ".join(f"{each.name}: {_accuracy_words(each)}" for each in judged)
    images = formats.plural(judged[0].evaluation.metrics.images, "test image")
    return Headline("No pupil to compare with a teacher", f"{words}, on {images}.")


def _accuracy(judged: Judged) -> Estimate:
    return judged.evaluation.metrics.accuracy


def _accuracy_words(judged: Judged) -> str:
    accuracy = _accuracy(judged)
    interval = formats.percent_interval(accuracy)
    return f"{formats.percent(accuracy.value)} accuracy (95 % interval {interval})"
