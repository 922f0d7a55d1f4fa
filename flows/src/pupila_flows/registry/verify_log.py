"""Checks the folder of a published name: its events, `current.json` and stray files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pupila.errors import PupilaError
from pupila_flows.registry.events import FOLDER, Log, is_event_file, read_log
from pupila_flows.registry.manifest import MANIFEST
from pupila_flows.registry.storage import Storage
from pupila_flows.registry.versions import (
    POINTER,
    VERSIONS,
    Registry,
    contradiction,
    folder_of,
    is_version_folder,
    pointer_of,
    read_pointer,
)

_NUMBERS = "numbers"
_KNOWN = (POINTER, FOLDER, _NUMBERS, VERSIONS, "staging")


@dataclass(frozen=True)
class CheckedLog:
    """The log of a published name, and what a check of its folder found."""

    log: Log
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def check(registry: Registry, name: str, head: str | None = None) -> CheckedLog:
    """Check the folder of a published name, except the files of its versions.

    If `head` is given, one event of the log must have this SHA-256.
    """
    storage = registry.storage
    try:
        content = storage.read(
            f"{name}/{POINTER}"
        )  # before the events, as publishers may be active
        pointer_problems: tuple[str, ...] = ()
    except PupilaError:  # reported with other irregular entries
        content, pointer_problems = None, (f"{POINTER}: it cannot be read.",)
    try:
        log = read_log(storage, name)
        strange = storage.irregular(name)
    except PupilaError as error:
        return CheckedLog(Log((), (), (str(error),)), (str(error),), ())
    never = _never_current(storage, name, log)
    problems = (
        *log.problems,
        *(not_followed(path, kind) for path, kind in strange.items() if _concerns_all(path)),
        *_unknown(storage, name, strange),
        *_versions(storage, name, log),
        *(pointer_problems or _pointer(content, log, never)),
        *_head(log, head),
    )
    notes = tuple(
        f"Version {number} was never current, or its event was deleted." for number in never
    )
    return CheckedLog(log, problems, notes)


def not_followed(name: str, kind: str) -> str:
    """Return the message about an entry that was not opened because it is, for example, a link."""
    return f"{name}: it is {kind}, and was not opened."


def _concerns_all(name: str) -> bool:
    """Return whether a path is outside the versions, whose files are checked one by one."""
    parts = name.split("/")
    return parts[0] != VERSIONS or len(parts) < 3


def _unknown(storage: Storage, name: str, strange: dict[str, str]) -> Iterator[str]:
    """Yield a problem for every entry whose name no publisher creates."""
    expected: dict[str, Callable[[str], bool]] = {
        "": _KNOWN.__contains__,
        FOLDER: is_event_file,
        _NUMBERS: is_event_file,
        VERSIONS: is_version_folder,
    }
    for folder, fits in expected.items():
        if folder in strange:
            continue
        for child in storage.children(f"{name}/{folder}".rstrip("/")):
            entry = f"{folder}/{child}".lstrip("/")
            if not fits(child) and entry not in strange:
                yield f"{entry}: no publisher creates a file with that name."


def _versions(storage: Storage, name: str, log: Log) -> Iterator[str]:
    """Yield a problem for every version whose manifest is missing or differs from its events."""
    seen: dict[int, str] = {}
    for event in log.events:
        number = event.version
        if number not in seen:
            try:
                content = storage.read(f"{folder_of(name, number)}/{MANIFEST}")
            except PupilaError as error:
                content = str(error).encode()
            seen[number] = hashlib.sha256(content).hexdigest() if content is not None else ""
            if content is None:
                yield f"{VERSIONS}/{number:06d}: it was once current, but has no {MANIFEST}."
        if seen[number] and event.manifest != seen[number]:
            yield (
                f"{VERSIONS}/{number:06d}/{MANIFEST}: event {event.number} has a different "
                f"SHA-256 for it."
            )


def _never_current(storage: Storage, name: str, log: Log) -> list[int]:
    try:
        numbers = Registry(storage).numbers(name)
    except PupilaError:
        return []
    return sorted({*numbers} - {event.version for event in log.events})


def _pointer(content: bytes | None, log: Log, never: list[int]) -> Iterator[str]:
    """Yield contradictions between `current.json` and the log. The file may lag behind the log."""
    if not log.events:
        if content is not None:
            yield f"{POINTER}: it has no event: events were deleted."
        return
    if content is None:
        newest = max(event.version for event in log.events)
        if never and never[-1] > newest:
            yield (
                f"{POINTER}: it is missing, and version {never[-1]} has no event: the last event "
                f"was deleted, or two publishers were killed."
            )
        return
    pointer = read_pointer(content)
    problem = contradiction(pointer, log.digests)
    if problem:
        yield problem
    elif pointer not in map(pointer_of, log.events, log.digests):
        yield f"{POINTER}: it matches no event; the next publisher rewrites it."


def _head(log: Log, head: str | None) -> Iterator[str]:
    if head is not None and head not in log.digests:
        yield (
            f"No event has the SHA-256 {head}: the log was rewritten or shortened since that was "
            f"noted, or it belongs to another name or registry."
        )
