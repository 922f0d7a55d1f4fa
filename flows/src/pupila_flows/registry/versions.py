"""Reads a registry: its names, their versions, and which version is current."""

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
from pupila_flows.registry.events import Event, has_events, read_sound_log
from pupila_flows.registry.manifest import ARTIFACTS, MANIFEST, Manifest
from pupila_flows.registry.storage import Storage, open_storage

VERSIONS = "versions"
POINTER = "current.json"


@dataclass(frozen=True)
class Version:
    """A complete version: one whose manifest, the last file to be written, exists."""

    manifest: Manifest
    sha256: str
    """SHA-256 of `manifest.json`, which holds the SHA-256 of every other file of the version."""

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def number(self) -> int:
        return self.manifest.version

    @property
    def title(self) -> str:
        """The version as written in messages: `version 2`."""
        return f"version {self.number}"

    @property
    def artifacts(self) -> dict[str, str]:
        """Digest of each published artifact, by the name of its entry."""
        return self.manifest.artifacts


def open_registry(address: str) -> Registry:
    """Return the registry in a folder or at an fsspec URL; the registry need not exist yet.

    Raises:
        PupilaError: no installed package can open this URL.
    """
    return Registry(open_storage(address))


class Registry:
    """Versions in `<name>/versions/<number>`, and for each name a log of its current versions."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def names(self) -> list[str]:
        """Return the names under which something was published."""
        return [name for name in self.storage.children("") if has_events(self.storage, name)]

    def events(self, name: str) -> list[Event]:
        """Return the events of a name, oldest first; empty if nothing was published.

        Raises:
            PupilaError: the log was altered, or this version of Pupila cannot read it.
        """
        return list(read_sound_log(self.storage, name).events)

    def current(self, name: str) -> Version | None:
        """Return the current version of a name; None if nothing was published under this name.

        Raises:
            PupilaError: the registry cannot be read, or was altered.
        """
        events = self.events(name)
        if not events:
            return None
        self.update_pointer(name)
        return self.version(name, events[-1].version)

    def version(self, name: str, number: int) -> Version:
        """Return a version by its number.

        Raises:
            PupilaError: the version does not exist, or this release of Pupila cannot read its
                manifest.
        """
        version = self.find(name, number)
        if version:
            return version
        known = self.numbers(name)
        if not known:
            raise self.unknown_name(name)
        raise PupilaError(
            f"{name!r} has no version {number!r} in {self.storage.url}: it has "
            f"{join_names(map(str, known))}."
        )

    def find(self, name: str, number: int) -> Version | None:
        """Return a version by its number; None if it does not exist.

        Raises:
            PupilaError: this release of Pupila cannot read the manifest.
        """
        content = self.storage.read(f"{folder_of(name, number)}/{MANIFEST}")
        if content is None:
            return None
        version = read_version(content, self.location(name, number))
        if (version.name, version.number) != (name, number):
            raise PupilaError(
                f"{self.location(name, number)} holds {version.title} of {version.name!r}: it is a "
                f"copy, or was renamed; restore the version that was published there."
            )
        return version

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of all complete versions, including those that were never current."""
        children = (
            int(child)
            for child in self.storage.children(f"{name}/{VERSIONS}")
            if is_version_folder(child)
        )
        return [
            number
            for number in children
            if self.storage.read(f"{folder_of(name, number)}/{MANIFEST}") is not None
        ]

    def location(self, name: str, number: int) -> str:
        """Return the path or URL of a version's folder."""
        return f"{self.storage.url}/{folder_of(name, number)}"

    def unknown_name(self, name: str) -> PupilaError:
        """Return the error to raise for an unknown name; its message lists the known names."""
        known = self.names()
        listed = f" Known: {join_names(known)}." if known else " Nothing was published there yet."
        return PupilaError(
            f"Nothing named {name!r} was published in {self.storage.url}."
            f"{nearest(name, known)}{listed}"
        )

    def fetch(self, version: Version, entry: str, store: Store) -> Artifact:
        """Copy a published artifact unchanged into a store, unless the store already has it.

        Raises:
            PupilaError: the version has no such entry, or the artifact was altered.
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

    def update_pointer(self, name: str) -> None:
        """Update `current.json` to name the last event; web servers and scripts read this file.

        If writing fails, the next call updates the file. If the file contradicts the events, it
        stays as it is: it may be the only evidence of a deleted event.
        """
        file = f"{name}/{POINTER}"
        before = self.pointer(name)
        log = read_sound_log(self.storage, name)
        if not log.events or contradiction(before, log.digests):
            return
        pointer = pointer_of(log.events[-1], log.digests[-1])
        if before == pointer:
            return
        with suppress(PupilaError):  # readers may not have write access
            self.storage.replace(file, json.dumps(pointer, indent=2).encode())

    def check_log(self, name: str) -> None:
        """Check the log of a name: its chain of events, and `current.json` against the events.

        Raises:
            PupilaError: the log was altered, or `current.json` contradicts it.
        """
        pointer = self.pointer(name)  # before the events, as others may add some
        problem = contradiction(pointer, read_sound_log(self.storage, name).digests)
        if problem:
            raise PupilaError(
                f"{self.storage.url}/{name}: {problem} Nothing was changed. Compare with a copy, "
                f"or `pupila verify {name} --head SHA256`; if the events are right, delete "
                f"{POINTER}: it is made again."
            )

    def pointer(self, name: str) -> dict[str, Any]:
        """Return the content of a name's `current.json`; empty if it is missing or unreadable."""
        return read_pointer(self.storage.read(f"{name}/{POINTER}"))


def read_version(content: bytes, location: str) -> Version:
    """Parse the content of a manifest into a version.

    Raises:
        PupilaError: this release of Pupila cannot read the manifest at `location`.
    """
    try:
        return Version(Manifest.model_validate_json(content), hashlib.sha256(content).hexdigest())
    except ValidationError:
        raise PupilaError(
            f"{location}/{MANIFEST} is not a manifest that this version of Pupila can read: it was "
            "altered, or written by a later version."
        ) from None


def folder_of(name: str, number: int) -> str:
    """Return the folder of a version, relative to the root of the registry."""
    return f"{name}/{VERSIONS}/{number:06d}"


def is_version_folder(child: str) -> bool:
    """Return whether a folder has the name of a version, such as `000002`."""
    return bool(re.fullmatch("[0-9]{6,18}", child)) and child == f"{int(child):06d}"


def pointer_of(event: Event, digest: str) -> dict[str, Any]:
    """Return the content of `current.json` if `event` is the last one; `digest` is its SHA-256."""
    path = f"{VERSIONS}/{event.version:06d}"
    return {"version": event.version, "path": path, "event": event.number, "sha256": digest}


def read_pointer(content: bytes | None) -> dict[str, Any]:
    """Parse the content of `current.json`; return an empty dict if it is missing or unreadable."""
    try:
        pointer = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", pointer) if isinstance(pointer, dict) else {}


def contradiction(pointer: dict[str, Any], digests: Sequence[str]) -> str | None:
    """Return how `current.json` contradicts the events; None if it does not.

    A file that names an earlier event than the last one does not contradict the events.
    """
    number = pointer.get("event")
    if not isinstance(number, int) or number < 1:
        return None
    if number > len(digests):
        return (
            f"{POINTER} names event {number}, but the last event is {len(digests)}: an event "
            f"was deleted, or {POINTER} was forged."
        )
    if pointer.get("sha256", digests[number - 1]) != digests[number - 1]:
        return (
            f"{POINTER} has a different SHA-256 than event {number}: that event or {POINTER} "
            f"was altered."
        )
    return None
