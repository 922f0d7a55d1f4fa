"""Going back: an older version is made current again, and it is written down by whom and why."""

from __future__ import annotations

from collections.abc import Sequence

from pupila.errors import PupilaError, join_names
from pupila_flows.registry.events import Event, append, now
from pupila_flows.registry.verify import check_version
from pupila_flows.registry.versions import Registry


def roll_back(registry: Registry, name: str, to: int | None, by: str, reason: str) -> Event:
    """Make an older version current; without `to`, the one that the current one took over from.

    Nothing is deleted. What was rolled back from is published again only by an override.

    Raises:
        PupilaError: there is no such version, it is current or never was, it was altered, or
            another moved the pointer at the same moment.
    """
    registry.demand_sound(name)
    events = registry.events(name)
    if not events:
        raise registry.unknown(name)
    current = events[-1].version
    target = _before(events, name) if to is None else to
    if target == current:
        raise PupilaError(f"Version {target} of {name!r} is current already.")
    _demand_past(registry, name, target, events)
    found = check_version(registry, name, target, events)
    if found.problems:
        raise PupilaError(
            f"Version {target} of {name!r} is not what was published: {found.problems[0]} "
            f"`pupila verify {name} --version {target}` tells all; nothing was changed."
        )
    event = Event(
        number=events[-1].number + 1,
        kind="rollback",
        version=target,
        previous=current,
        at=now(),
        by=by,
        reason=reason,
        manifest=str(found.manifest),
    )
    added = append(registry.storage, name, event)
    if added is None:
        raise PupilaError(
            f"Another publisher moved {name!r} at the same moment: nothing was rolled back. Look "
            f"at `pupila history {name}`, and repeat the command."
        )
    registry.point(name)
    return added


def _demand_past(registry: Registry, name: str, number: int, events: Sequence[Event]) -> None:
    """Refuse a version that never was current: no publisher found it fit to be."""
    registry.version(name, number)
    past = sorted({event.version for event in events})
    if number not in past:
        raise PupilaError(
            f"Version {number} of {name!r} never was current: its publisher came too late, or "
            f"died. Name one that was: {join_names(map(str, past))}."
        )


def _before(events: Sequence[Event], name: str) -> int:
    """Return the version that was current before the current one first was."""
    current = events[-1].version
    first = next(event for event in events if event.version == current)
    if first.previous is None:
        raise PupilaError(
            f"Version {current} of {name!r} is the first: there is none to go back to. Name one "
            f"with --to, as `pupila history {name}` lists them."
        )
    return first.previous
