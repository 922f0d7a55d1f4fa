"""Reading a registry: names, versions, and which one is current."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from pupila.artifact import Artifact
from pupila.errors import PupilaError, join_names, nearest
from pupila.store import Store
from pupila_flows.registry.events import Event, has_events, sound_log
from pupila_flows.registry.manifest import ARTIFACTS, MANIFEST, Manifest
from pupila_flows.registry.storage import Storage, open_storage

VERSIONS = "versions"
POINTER = "current.json"


@dataclass(frozen=True)
class Version:
    """A published version; there is none without its manifest."""

    manifest: Manifest
    sha256: str
    """Of `manifest.json`, and so of all that the version is."""

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def number(self) -> int:
        return self.manifest.version

    @property
    def title(self) -> str:
        """What it is called in sentences: `version 2`."""
        return f"version {self.number}"

    @property
    def artifacts(self) -> dict[str, str]:
        """Digest of each published artifact, by the entry's name."""
        return self.manifest.artifacts


def open_registry(address: str) -> Registry:
    """Return the registry in a folder or at an fsspec URL; it need not be there yet.

    Raises:
        PupilaError: no installed package opens such a URL.
    """
    return Registry(open_storage(address))


class Registry:
    """Versions under `<name>/versions/<number>`, and the log of what was current."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def names(self) -> list[str]:
        """Return the names of which something was published."""
        return [name for name in self.storage.children("") if has_events(self.storage, name)]

    def events(self, name: str) -> list[Event]:
        """Return what happened to a name, oldest first; nothing where nothing was published.

        Raises:
            PupilaError: the log was altered.
        """
        return list(sound_log(self.storage, name).events)

    def current(self, name: str) -> Version | None:
        """Return the version that is current; None where nothing of that name was published.

        Raises:
            PupilaError: the registry cannot be read, or was altered.
        """
        events = self.events(name)
        if not events:
            return None
        self.point(name)
        return self.version(name, events[-1].version)

    def version(self, name: str, number: int) -> Version:
        """Return a version by its number.

        Raises:
            PupilaError: there is none, or its manifest is none that this version can read.
        """
        found = self.find(name, number)
        if found:
            return found
        known = self.numbers(name)
        if not known:
            raise self.unknown(name)
        raise PupilaError(
            f"{name!r} has no version {number!r} in {self.storage.url}: it has "
            f"{join_names(map(str, known))}."
        )

    def find(self, name: str, number: int) -> Version | None:
        """Return a version by its number; None where there is none.

        Raises:
            PupilaError: its manifest is none that this version can read.
        """
        content = self.storage.read(f"{folder_of(name, number)}/{MANIFEST}")
        if content is None:
            return None
        version = read_version(content, self.place(name, number))
        if (version.name, version.number) != (name, number):
            raise PupilaError(
                f"{self.place(name, number)} holds {version.title} of {version.name!r}: it is a "
                f"copy, or was renamed; restore the version that was published there."
            )
        return version

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of all whole versions; those that were never current too."""
        found = (
            int(child)
            for child in self.storage.children(f"{name}/{VERSIONS}")
            if is_version_folder(child)
        )
        return [
            number
            for number in found
            if self.storage.read(f"{folder_of(name, number)}/{MANIFEST}") is not None
        ]

    def place(self, name: str, number: int) -> str:
        """Return the path or URL of a version."""
        return f"{self.storage.url}/{folder_of(name, number)}"

    def unknown(self, name: str) -> PupilaError:
        """Return the error that there is nothing of a name, with those there are."""
        known = self.names()
        listed = f" Known: {join_names(known)}." if known else " Nothing was published there yet."
        return PupilaError(
            f"Nothing named {name!r} was published in {self.storage.url}."
            f"{nearest(name, known)}{listed}"
        )

    def fetch(self, version: Version, entry: str, store: Store) -> Artifact:
        """Take a published artifact over into a store, unchanged, unless it is there already.

        Raises:
            PupilaError: the version has no such entry, or it was altered.
        """
        digest = version.artifacts.get(entry)
        if digest is None:
            raise PupilaError(
                f"{version.title} of {version.name!r} has no artifact {entry!r}: it has "
                f"{join_names(version.artifacts)}.{nearest(entry, version.artifacts)}"
            )
        with suppress(PupilaError):
            return store.open(digest)
        with store.draft() as copy:
            folder = f"{folder_of(version.name, version.number)}/{ARTIFACTS}/{entry}"
            self.storage.download(folder, copy)
            artifact = store.adopt(copy)
        if artifact.digest != digest:
            raise PupilaError(
                f"{self.storage.url}/{folder} was altered: it holds the artifact "
                f"{artifact.digest!r}, but its manifest says {digest!r}."
            )
        return artifact

    def point(self, name: str) -> None:
        """Bring `current.json` up to date, never back: web servers and scripts read it.

        It follows the events, and is mended when it is next looked at, where that fails. One that
        contradicts them is left as it is: it may be all that tells of an event that was deleted.
        """
        file = f"{name}/{POINTER}"
        before = self.pointer(name)
        log = sound_log(self.storage, name)
        if not log.events or contradiction(before, log.digests):
            return
        pointer = pointer_of(log.events[-1], log.digests[-1])
        if before == pointer:
            return
        with suppress(PupilaError):  # who reads need not be allowed to write
            self.storage.replace(file, json.dumps(pointer, indent=2).encode())

    def demand_sound(self, name: str) -> None:
        """Refuse to add to a log that was altered, or that `current.json` contradicts.

        Raises:
            PupilaError: it is.
        """
        pointer = self.pointer(name)  # before the events, which others may add to meanwhile
        problem = contradiction(pointer, sound_log(self.storage, name).digests)
        if problem:
            raise PupilaError(
                f"{self.storage.url}/{name}: {problem} Nothing was changed. Compare with a copy, "
                f"or `pupila verify {name} --head SHA256`; if the events are right, delete "
                f"{POINTER}: it is made again."
            )

    def pointer(self, name: str) -> dict[str, Any]:
        """Return what `current.json` of a name says; nothing where it says nothing."""
        return read_pointer(self.storage.read(f"{name}/{POINTER}"))


def read_version(content: bytes, place: str) -> Version:
    """Return the version that a manifest describes; `place` is told where it is none."""
    try:
        return Version(Manifest.model_validate_json(content), hashlib.sha256(content).hexdigest())
    except ValidationError:
        raise PupilaError(
            f"{place}/{MANIFEST} is no manifest that this version of Pupila can read: it was "
            "altered, or written by a later version."
        ) from None


def folder_of(name: str, number: int) -> str:
    """Return where the files of a version lie in the registry."""
    return f"{name}/{VERSIONS}/{number:06d}"


def is_version_folder(child: str) -> bool:
    """Tell whether a name in the folder of versions is that of a version."""
    return bool(re.fullmatch("[0-9]{6,18}", child)) and child == f"{int(child):06d}"


def pointer_of(event: Event, digest: str) -> dict[str, Any]:
    """Return what `current.json` says after an event."""
    path = f"{VERSIONS}/{event.version:06d}"
    return {"version": event.version, "path": path, "event": event.number, "sha256": digest}


def read_pointer(content: bytes | None) -> dict[str, Any]:
    """Return what `current.json` says; nothing where it is missing or cannot be read."""
    try:
        pointer = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", pointer) if isinstance(pointer, dict) else {}


def contradiction(pointer: dict[str, Any], digests: Sequence[str]) -> str | None:
    """Return how a pointer contradicts events of these digests; None where it only lags behind."""
    number = pointer.get("event")
    if not isinstance(number, int) or number < 1:
        return None
    if number > len(digests):
        return (
            f"{POINTER} tells of event {number}, and the last event is {len(digests)}: an event "
            f"was deleted, or {POINTER} was forged."
        )
    if pointer.get("sha256", digests[number - 1]) != digests[number - 1]:
        return (
            f"{POINTER} holds another SHA-256 than event {number} has: that event or {POINTER} "
            f"was altered."
        )
    return None
