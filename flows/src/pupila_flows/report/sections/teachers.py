"""Where several teachers of one pupil disagree, as the plugin that asked them has noted it.

What a plugin notes while it makes an artifact is free in form: what does not look like this is
left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from pupila_flows.report import formatting as formats
from pupila_flows.report.lineage import Lineage
from pupila_flows.results import Entry

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Panel:
    """The teachers of some pupils, and how often two of them give an image the same class."""

    pupils: tuple[str, ...]
    teachers: tuple[str, ...]
    agreement: Matrix
    """`(teachers, teachers)`: fractions of the images that the pupils learned from."""
    accuracies: tuple[str, ...]
    """Of each teacher on the validation images, as it is shown; empty where it was not noted."""
    sentences: tuple[str, ...]


def panels(lineage: Lineage) -> list[Panel]:
    """Return what was noted of several teachers; pupils of which the same was share a panel."""
    found: list[Panel] = []
    for panel in filter(None, map(_panel, lineage.entries.values())):
        alike = next((each for each in found if replace(each, pupils=panel.pupils) == panel), None)
        if alike is None:
            found.append(panel)
        else:
            both = (*alike.pupils, *panel.pupils)
            found[found.index(alike)] = replace(alike, pupils=both)
    return found


def _panel(entry: Entry) -> Panel | None:
    measured = entry.record.measured if entry.record else {}
    agreement = _matrix(measured.get("agreement"), len(entry.inputs))
    if len(entry.inputs) < 2 or agreement is None:
        return None
    return Panel(
        pupils=(entry.name,),
        teachers=entry.inputs,
        agreement=agreement,
        accuracies=_accuracies(measured.get("teachers"), len(entry.inputs)),
        sentences=(*_disagreement(measured), *_taught_by(measured)),
    )


def _disagreement(measured: Mapping[str, Any]) -> list[str]:
    part = _fraction(measured.get("teachers_disagree"))
    if part is None:
        return []
    return [f"To {formats.percent(part)} of the pictures they do not all give one class."]


def _taught_by(measured: Mapping[str, Any]) -> list[str]:
    """Say, of a pupil that learns from those teachers that are right, how many were."""
    noted = measured.get("taught_by")
    if not isinstance(noted, Mapping):
        return []
    parts = cast("Mapping[str, Any]", noted)
    every, some, none = (_fraction(parts.get(name)) for name in ("all", "some", "none"))
    if every is None or some is None or none is None:
        return []
    return [
        f"All teachers taught {formats.percent(every)} of the pictures, some of them "
        f"{formats.percent(some)}; {formats.percent(none)} no teacher had right, and only the "
        f"label taught."
    ]


def _accuracies(noted: object, teachers: int) -> tuple[str, ...]:
    each = _rows(noted)
    values = [
        _fraction(_mapping(_mapping(row).get("validation_accuracy")).get("value")) for row in each
    ]
    known = [formats.percent(value) for value in values if value is not None]
    return tuple(known) if len(known) == len(each) == teachers else ()


def _matrix(noted: object, side: int) -> Matrix | None:
    """Return a square matrix of fractions; None where it is none."""
    rows = [_rows(row) for row in _rows(noted)]
    values = [[_fraction(value) for value in row] for row in rows]
    whole = tuple(tuple(value for value in row if value is not None) for row in values)
    return whole if len(whole) == side and all(len(row) == side for row in whole) else None


def _rows(noted: object) -> list[object]:
    return cast("list[object]", noted) if isinstance(noted, list) else []


def _mapping(noted: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", noted) if isinstance(noted, Mapping) else {}


def _fraction(noted: object) -> float | None:
    if isinstance(noted, bool) or not isinstance(noted, int | float) or not 0 <= noted <= 1:
        return None
    return float(noted)
