"""The lines of the plot: entries that differ along the axis only, or lie beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pupila_flows.report.sections.seeds import SeedRuns, trials
from pupila_flows.report.sweep.axis import Axis, described, short_names, written
from pupila_flows.results import Entry, RunResult

Role = Literal["pupil", "control", "teacher"]


@dataclass(frozen=True)
class Line:
    """Judged entries by their place on the axis; the same one everywhere, where it has no place."""

    label: str
    role: Role
    at: tuple[SeedRuns | None, ...]
    """One for each value of the axis; None where there is none, or it failed."""
    constant: bool


def roles(result: RunResult) -> dict[str, Role]:
    """Tell what each entry is in a sweep, by name.

    A step is a control where something is compared with every one of its points.
    """
    controls = {entry.control for entry in result.entries}
    pupils = {step_of(entry) for entry in result.entries if entry.name not in controls}
    found: dict[str, Role] = {}
    for entry in result.entries:
        made: Role = "pupil" if step_of(entry) in pupils else "control"
        found[entry.name] = "teacher" if entry.kind == "teacher" else made
    return found


def step_of(entry: Entry) -> str:
    """Return the step of the recipe, which has neither `[` nor `#` in its name."""
    return entry.name.partition("[")[0].partition("#")[0] if entry.kind == "step" else entry.name


def lines(result: RunResult, axis: Axis) -> list[Line]:
    """Return the lines of a sweep: pupils, then controls, then teachers."""
    groups: dict[tuple[str, str], list[SeedRuns]] = {}
    judged = [each for each in trials(result.entries) if each.judged]
    for each in judged:
        others = written(_others(each.first.settings, axis))
        groups.setdefault((step_of(each.first), others), []).append(each)
    role, several = roles(result), has_several(result)
    names = short_names(result.sweep)
    drawn = [
        _line(group, axis, names, role[group[0].name], several=several) for group in groups.values()
    ]
    return sorted(drawn, key=lambda line: ("pupil", "control", "teacher").index(line.role))


def has_several(result: RunResult) -> bool:
    """Tell whether pupils of more than one step were judged, so that settings alone do not name."""
    role = roles(result)
    judged = [each for each in result.entries if each.evaluation]
    return len({step_of(each) for each in judged if role[each.name] == "pupil"}) > 1


def _others(settings: Mapping[str, Any], axis: Axis) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != axis.key}


def _line(
    group: list[SeedRuns], axis: Axis, names: Mapping[str, str], role: Role, *, several: bool
) -> Line:
    first = group[0].first
    constant = axis.key not in first.settings
    by_value = {written(each.first.settings.get(axis.key)): each for each in group}
    at = [group[0] if constant else by_value.get(written(value)) for value in axis.values]
    return Line(
        label=_label(first, axis, names, alone=role == "pupil" and not several),
        role=role,
        at=tuple(at),
        constant=constant,
    )


def _label(first: Entry, axis: Axis, names: Mapping[str, str], *, alone: bool) -> str:
    others = described(_others(first.settings, axis), names)
    if others and alone:
        return others
    return f"{step_of(first)}: {others}" if others else step_of(first)
