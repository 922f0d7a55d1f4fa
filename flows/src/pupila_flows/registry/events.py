"""The log of a name: which version became current, when, by whom and why.

Every event is a file that is created exclusively and never changed; the highest one says what is
current. So the pointer moves in one step, none is lost, and the history is what moved it.
"""

from __future__ import annotations

import getpass
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pupila.errors import PupilaError
from pupila_flows.registry.manifest import Override
from pupila_flows.registry.storage import Storage

_FOLDER = "events"


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


def read_events(storage: Storage, name: str) -> list[Event]:
    """Return all events of a name, oldest first.

    Raises:
        PupilaError: one of them is none that this version can read.
    """
    return [_event(storage, file) for file in _files(storage, name)]


def last_event(storage: Storage, name: str) -> Event | None:
    """Return the event that says what is current; see `read_events`."""
    files = _files(storage, name)
    return _event(storage, files[-1]) if files else None


def append(storage: Storage, name: str, event: Event) -> bool:
    """Write an event; False where another of its number came first."""
    text = event.model_dump_json(indent=2).encode()
    return storage.create(f"{name}/{_FOLDER}/{event.number:06d}.json", text)


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


def _files(storage: Storage, name: str) -> list[str]:
    folder = f"{name}/{_FOLDER}"
    return [f"{folder}/{file}" for file in storage.children(folder) if file.endswith(".json")]


def _event(storage: Storage, file: str) -> Event:
    content = storage.read(file)
    try:
        return Event.model_validate_json(content or b"")
    except ValidationError:
        raise PupilaError(
            f"{storage.url}/{file} is no event that this version of Pupila can read: it was "
            "altered, or written by a later version."
        ) from None
