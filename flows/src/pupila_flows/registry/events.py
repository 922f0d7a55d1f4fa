"""The log of a published name: which version became current, when, by whom and why.

Every event is a file that is created exclusively and never changed. The event with the highest
number names the current version, so the current version changes atomically and no event is lost.
Each event holds the SHA-256 of the previous event, so an altered, copied or removed event breaks
the chain.
"""

from __future__ import annotations

import getpass
import hashlib
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pupila.errors import PupilaError
from pupila_flows.registry.manifest import Override
from pupila_flows.registry.storage import Storage

FOLDER = "events"


class Event(BaseModel):
    """One change of a name's current version, by publishing or by rolling back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    kind: Literal["publish", "rollback"]
    version: int = Field(description="The version that is current after the event.")
    previous: int | None = Field(description="The version that was current before, if any.")
    at: str = Field(description="ISO 8601, UTC.")
    by: str = Field(description="User and host, or a given name.")
    reason: str
    manifest: str = Field(description="SHA-256 of the version's `manifest.json`.")
    override: Override | None = None
    before: str | None = Field(
        default=None, description="SHA-256 of the previous event; None for the first."
    )


@dataclass(frozen=True)
class Log:
    """The stored events of a name, and the inconsistencies found in them."""

    events: tuple[Event, ...]
    """The readable events, oldest first."""
    digests: tuple[str, ...]
    """SHA-256 of each event's file, in the order of `events`."""
    problems: tuple[str, ...]
    """The inconsistencies found, one sentence each."""


def read_log(storage: Storage, name: str) -> Log:
    """Read all events of a name and check their chain; the result lists the problems."""
    events: list[Event] = []
    digests: list[str] = []
    problems: list[str] = []
    before: str | None = None
    expected = 1
    for file in _files(storage, name):
        try:
            event, digest = _event(storage, file)
        except PupilaError as error:
            problems.append(str(error))
            before, expected = None, expected + 1
            continue
        if event.number != expected:
            problems.append(f"{file}: an event before it is missing: event {expected} comes next.")
        elif event.before != before and (before or expected == 1):
            problems.append(
                f"{file}: its SHA-256 of the previous event is wrong: one of the two was altered."
            )
        before, expected = digest, event.number + 1
        events.append(event)
        digests.append(digest)
    return Log(tuple(events), tuple(digests), tuple(problems))


def read_sound_log(storage: Storage, name: str) -> Log:
    """Read all events of a name; raise an error if their chain has problems.

    Raises:
        PupilaError: the events are inconsistent, or this version of Pupila cannot read them.
    """
    log = read_log(storage, name)
    if log.problems:
        raise PupilaError(
            f"The events of {name!r} in {storage.url} were altered: {log.problems[0]} `pupila "
            f"verify {name}` lists every problem; restore the files from a copy."
        )
    return log


def has_events(storage: Storage, name: str) -> bool:
    """Return whether anything was published under a name."""
    try:
        return bool(_files(storage, name))
    except PupilaError:  # for example a link: nobody publishes there
        return False


def append(storage: Storage, name: str, event: Event) -> Event | None:
    """Append an event, and return it with the SHA-256 of the previous event added.

    Return None, and write nothing, if another writer has taken the event's number.
    """
    before = storage.digest(_file(name, event.number - 1)) if event.number > 1 else None
    chained = event.model_copy(update={"before": before})
    return chained if storage.create(_file(name, event.number), _content(chained)) else None


def digest_of(event: Event) -> str:
    """Return the SHA-256 of an event's file; the event must be the one that `append` returned."""
    return hashlib.sha256(_content(event)).hexdigest()


def withdrawn(events: Sequence[Event]) -> dict[int, Event]:
    """Return the rollback event of each withdrawn version, by the version's number.

    A version is withdrawn if a rollback replaced it and it has not become current again since.
    """
    left: dict[int, Event] = {}
    for event in events:
        if event.kind == "rollback" and event.previous is not None:
            left[event.previous] = event
        left.pop(event.version, None)
    return left


def now() -> str:
    """Return the current time as ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def user_and_host() -> str:
    """Return the user and host of this process as `user@host`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def is_event_file(file: str) -> bool:
    """Return whether a file in the events folder is named like an event, as `000001.json` is."""
    digits = file.removesuffix(".json")
    return bool(re.fullmatch("[0-9]{6,18}", digits)) and file == f"{int(digits):06d}.json"


def _file(name: str, number: int) -> str:
    return f"{name}/{FOLDER}/{number:06d}.json"


def _files(storage: Storage, name: str) -> list[str]:
    files = [file for file in storage.children(f"{name}/{FOLDER}") if is_event_file(file)]
    return [f"{name}/{FOLDER}/{file}" for file in sorted(files, key=lambda file: (len(file), file))]


def _content(event: Event) -> bytes:
    return event.model_dump_json(indent=2).encode()


def _event(storage: Storage, file: str) -> tuple[Event, str]:
    """Return an event, whose number must match its file name, and the file's SHA-256."""
    content = storage.read(file) or b""
    try:
        event = Event.model_validate_json(content)
    except ValidationError:
        raise PupilaError(
            f"{storage.url}/{file} is not an event that this version of Pupila can read: it was "
            "altered, or written by a later version."
        ) from None
    if not file.endswith(f"/{event.number:06d}.json"):
        raise PupilaError(
            f"{storage.url}/{file} holds the number {event.number}: it is a copy of another event."
        )
    return event, hashlib.sha256(content).hexdigest()
