"""What the teacher adds: each pupil beside the control that differs from it in that alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pupila.evaluation import Estimate
from pupila_flows.report import formats
from pupila_flows.report.answers import Answers
from pupila_flows.report.lineage import Judged, Lineage
from pupila_flows.report.tables import Cell, plain_score
from pupila_flows.results import Entry


@dataclass(frozen=True)
class Comparison:
    """A pupil and a control that was made like it, but for the teacher."""

    pupil: str
    control: str
    difference: Estimate | None
    auc: tuple[Cell, Cell]
    verdict: str


def comparisons(lineage: Lineage, answers: Answers) -> list[Comparison]:
    """Pair each pupil with the control that differs from it only in having had no teacher.

    Alike are: the seed and all settings of the two trainings, but for those that only a
    distillation has; the size of what they trained; and the steps that followed, settings included.
    """
    return [
        _compare(pupil, control, answers)
        for pupil, control in _candidates(lineage)
        if not _unlike(pupil.entry, control.entry, lineage)
    ]


def unpaired(lineage: Lineage) -> str:
    """Say in what a pupil and the control nearest to it differ; nothing without either."""
    found = [
        (_unlike(pupil.entry, control.entry, lineage), pupil, control)
        for pupil, control in _candidates(lineage)
    ]
    if not found:
        return ""
    settings, pupil, control = min(found, key=lambda each: len(each[0]))
    return (
        f"No control can be compared with a pupil, for none differs from it in the teacher alone: "
        f"{pupil.name} and {control.name} are nearest, and differ also in "
        f"{formats.listed(settings)}."
    )


def _candidates(lineage: Lineage) -> list[tuple[Judged, Judged]]:
    controls = [each for each in lineage.judged() if lineage.is_control(each.entry)]
    return [(pupil, control) for control in controls for pupil in lineage.pupils()]


def _unlike(pupil: Entry, control: Entry, lineage: Lineage) -> list[str]:
    """Return what is not the same in a pupil as in a control, with both values.

    What a control has no setting for (`alpha`, `temperature`) is no difference.
    """
    mine, theirs = _circumstances(pupil, lineage), _circumstances(control, lineage)
    return [
        f"{name} ({mine.get(name, formats.NONE)} and {value})"
        for name, value in theirs.items()
        if mine.get(name, formats.NONE) != value
    ]


def _circumstances(entry: Entry, lineage: Lineage) -> dict[str, object]:
    """Return by name how an entry was made: its training, and the steps that followed."""
    root = lineage.root(entry)
    made = dict(_flat(root.config))
    if root.record:
        made["parameters"] = root.record.parameters
        made["input"] = f"{root.record.input.height} × {root.record.input.width}"
        made["seed of the run"] = root.record.origin.seed
    steps = [_written(step) for step in lineage.chain(entry)]
    return {**made, "further steps": ", ".join(steps) or "none"}


def _written(step: Entry) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in _flat(step.config))
    return f"{step.uses} with {settings}" if settings else step.uses


def _flat(config: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, object]]:
    """Yield each setting by its dotted name."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(cast("Mapping[str, Any]", value), f"{within}{name}.")
        else:
            yield within + name, value


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
