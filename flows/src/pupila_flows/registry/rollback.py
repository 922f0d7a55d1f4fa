"""Makes an older version current again, and records who did so and why."""

from __future__ import annotations

from collections.abc import Sequence

from pupila.errors import PupilaError, join_names
from pupila_flows.registry.events import Event, append, now
from pupila_flows.registry.verify import check_version
from pupila_flows.registry.versions import Registry


def roll_back(registry: Registry, name: str, to: int | None, by: str, reason: str) -> Event:
    """Make an older version current: `to`, or by default the predecessor of the current version.

    Return the event that records the change with `by` and `reason`. Nothing is deleted. Artifacts
    of the version that was current can be published again only with an override.

    Raises:
        PupilaError: the version does not exist, is current, never was current or was altered, or
            another publisher changed the current version at the same time.
    """
    registry.check_log(name)
    events = registry.events(name)
    if not events:
        raise registry.unknown_name(name)
    current = events[-1].version
    target = _before(events, name) if to is None else to
    if target == current:
        raise PupilaError(f"Version {target} of {name!r} is already current.")
    _demand_past(registry, name, target, events)
    verification = check_version(registry, name, target, events)
    if verification.problems:
        raise PupilaError(
            f"Version {target} of {name!r} is not what was published: {verification.problems[0]} "
            f"`pupila verify {name} --version {target}` lists all problems; nothing was changed."
        )
    event = Event(
        number=events[-1].number + 1,
        kind="rollback",
        version=target,
        previous=current,
        at=now(),
        by=by,
        reason=reason,
        manifest=str(verification.manifest),
    )
    added = append(registry.storage, name, event)
    if added is None:
        raise PupilaError(
            f"Another publisher moved {name!r} at the same time: nothing was rolled back. Look "
            f"at `pupila history {name}`, and repeat the command."
        )
    registry.update_pointer(name)
    return added


def _demand_past(registry: Registry, name: str, number: int, events: Sequence[Event]) -> None:
    """Refuse a version that was never current: its publisher was too late or was killed."""
    registry.version(name, number)
    past = sorted({event.version for event in events})
    if number not in past:
        raise PupilaError(
            f"Version {number} of {name!r} was never current: its publisher was too late or was "
            f"killed. Name one that was: {join_names(map(str, past))}."
        )


def _before(events: Sequence[Event], name: str) -> int:
    """Return the version that the current version replaced when it first became current."""
    current = events[-1].version
    first = next(event for event in events if event.version == current)
    if first.previous is None:
        raise PupilaError(
            f"Version {current} of {name!r} is the first: it has no predecessor. Name one "
            f"with --to, as `pupila history {name}` lists them."
        )
    return first.previous
