"""The log of a name: which version became current, when, by whom and why.

Every event is a file that is created exclusively and never changed; the highest one says what is
current. So the pointer moves in one step, none is lost, and the history is what moved it. Each
holds the SHA-256 of the one before: what was altered, copied or taken out breaks the chain.
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
    """One move of the pointer `current`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    kind: Literal["publish", "rollback"]
    version: int = Field(description="Current from then on.")
    previous: int | None = Field(description="Current until then.")
    at: str = Field(description="ISO 8601, UTC.")
    by: str = Field(description="User and host, or the name that was given.")
    reason: str
    manifest: str = Field(description="SHA-256 of the version's `manifest.json`.")
    override: Override | None = None
    before: str | None = Field(
        default=None, description="SHA-256 of the event before; None of the first."
    )


@dataclass(frozen=True)
class Log:
    """The events of a name as they lie there, and what does not hold together."""

    events: tuple[Event, ...]
    """Those that could be read, oldest first."""
    digests: tuple[str, ...]
    """SHA-256 of the file of each."""
    problems: tuple[str, ...]
    """One sentence each."""


def read_log(storage: Storage, name: str) -> Log:
    """Return all events of a name, and whatever is wrong with them."""
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
                f"{file}: it holds another SHA-256 than the event before it has: one of the two "
                f"was altered."
            )
        before, expected = digest, event.number + 1
        events.append(event)
        digests.append(digest)
    return Log(tuple(events), tuple(digests), tuple(problems))


def sound_log(storage: Storage, name: str) -> Log:
    """Return all events of a name, which hold together.

    Raises:
        PupilaError: they do not hold together, or this version cannot read them.
    """
    log = read_log(storage, name)
    if log.problems:
        raise PupilaError(
            f"The events of {name!r} in {storage.url} were altered: {log.problems[0]} `pupila "
            f"verify {name}` lists every problem; restore the files from a copy."
        )
    return log


def has_events(storage: Storage, name: str) -> bool:
    """Tell whether anything was published under a name."""
    try:
        return bool(_files(storage, name))
    except PupilaError:  # a link, say: nobody publishes there
        return False


def append(storage: Storage, name: str, event: Event) -> Event | None:
    """Write an event with the SHA-256 of the one before; None where another came first."""
    before = storage.digest(_file(name, event.number - 1)) if event.number > 1 else None
    chained = event.model_copy(update={"before": before})
    return chained if storage.create(_file(name, event.number), _content(chained)) else None


def digest_of(event: Event) -> str:
    """Return the SHA-256 of the file that `append` wrote of an event."""
    return hashlib.sha256(_content(event)).hexdigest()


def withdrawn(events: Sequence[Event]) -> dict[int, Event]:
    """Return the versions that a rollback left for good, each with that rollback."""
    left: dict[int, Event] = {}
    for event in events:
        if event.kind == "rollback" and event.previous is not None:
            left[event.previous] = event
        left.pop(event.version, None)
    return left


def now() -> str:
    """Return the time as ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def whoever() -> str:
    """Return user and host of this process."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def is_event_file(file: str) -> bool:
    """Tell whether a name in the folder of events is that of an event."""
    digits = file.removesuffix(".json")
    return bool(re.fullmatch("[0-9]{6,18}", digits)) and file == f"{int(digits):06d}.json"


def _file(name: str, number: int) -> str:
    return f"{name}/{FOLDER}/{number:06d}.json"


def _files(storage: Storage, name: str) -> list[str]:
    files = [file for file in storage.children(f"{name}/{FOLDER}") if is_event_file(file)]
    return [f"{name}/{FOLDER}/{file}" for file in sorted(files, key=lambda each: (len(each), each))]


def _content(event: Event) -> bytes:
    return event.model_dump_json(indent=2).encode()


def _event(storage: Storage, file: str) -> tuple[Event, str]:
    """Return an event, which holds the number that its file is named by, and its SHA-256."""
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
