"""The lines of a sweep's plot.

The entries of a line differ only in the setting of the axis. An entry that does not depend on this
setting has a line of its own, which shows this entry at every value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pupila_flows.report.sections.seeds import SeedRuns, group_by_seed
from pupila_flows.report.sweep.axis import Axis, describe_settings, short_names, write_value
from pupila_flows.results import Entry, RunResult

Role = Literal["pupil", "control", "teacher"]


@dataclass(frozen=True)
class Line:
    """A line of the plot: an evaluated entry at each value of the axis."""

    label: str
    role: Role
    at: tuple[SeedRuns | None, ...]
    """The entry at each value of the axis; None where it is missing or failed."""
    constant: bool
    """Whether the line is one entry that does not depend on the setting of the axis."""


def roles(result: RunResult) -> dict[str, Role]:
    """Return each entry's role in a sweep, by name.

    A step counts as a control if each of its points is the control of another entry.
    """
    controls = {entry.control for entry in result.entries}
    pupils = {step_of(entry) for entry in result.entries if entry.name not in controls}
    role_of: dict[str, Role] = {}
    for entry in result.entries:
        made: Role = "pupil" if step_of(entry) in pupils else "control"
        role_of[entry.name] = "teacher" if entry.kind == "teacher" else made
    return role_of


def step_of(entry: Entry) -> str:
    """Return the recipe step of an entry: its name without `[settings]` and `#seed`."""
    return entry.name.partition("[")[0].partition("#")[0] if entry.kind == "step" else entry.name


def lines(result: RunResult, axis: Axis) -> list[Line]:
    """Return the lines of a sweep's plot: those of pupils first, then of controls, of teachers."""
    groups: dict[tuple[str, str], list[SeedRuns]] = {}
    evaluated = [runs for runs in group_by_seed(result.entries) if runs.evaluated]
    for runs in evaluated:
        others = write_value(_others(runs.first.settings, axis))
        groups.setdefault((step_of(runs.first), others), []).append(runs)
    role, several = roles(result), has_several(result)
    names = short_names(result.sweep)
    all_lines = [
        _line(group, axis, names, role[group[0].name], several=several) for group in groups.values()
    ]
    return sorted(all_lines, key=lambda line: ("pupil", "control", "teacher").index(line.role))


def has_several(result: RunResult) -> bool:
    """Return whether pupils of several steps were evaluated, so that labels must name the step."""
    role = roles(result)
    evaluated = [entry for entry in result.entries if entry.evaluation]
    return len({step_of(entry) for entry in evaluated if role[entry.name] == "pupil"}) > 1


def _others(settings: Mapping[str, Any], axis: Axis) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != axis.key}


def _line(
    group: list[SeedRuns], axis: Axis, names: Mapping[str, str], role: Role, *, several: bool
) -> Line:
    first = group[0].first
    constant = axis.key not in first.settings
    by_value = {write_value(runs.first.settings.get(axis.key)): runs for runs in group}
    at = [group[0] if constant else by_value.get(write_value(value)) for value in axis.values]
    return Line(
        label=_label(first, axis, names, alone=role == "pupil" and not several),
        role=role,
        at=tuple(at),
        constant=constant,
    )


def _label(first: Entry, axis: Axis, names: Mapping[str, str], *, alone: bool) -> str:
    others = describe_settings(_others(first.settings, axis), names)
    if others and alone:
        return others
    return f"{step_of(first)}: {others}" if others else step_of(first)
