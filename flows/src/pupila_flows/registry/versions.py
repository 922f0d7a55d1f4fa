"""Reading a registry: names, versions, and which one is current."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from pupila.artifact import Artifact
from pupila.errors import PupilaError, nearest
from pupila.store import Store
from pupila_flows.registry.events import Event, last_event, read_events
from pupila_flows.registry.manifest import ARTIFACTS, MANIFEST, Manifest
from pupila_flows.registry.storage import Storage, open_storage

_VERSIONS = "versions"
_POINTER = "current.json"


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
        return [name for name in self.storage.children("") if last_event(self.storage, name)]

    def events(self, name: str) -> list[Event]:
        """Return what happened to a name, oldest first; nothing where nothing was published."""
        return read_events(self.storage, name)

    def current(self, name: str) -> Version | None:
        """Return the version that is current; None where nothing of that name was published.

        Raises:
            PupilaError: the registry cannot be read, or was altered.
        """
        event = last_event(self.storage, name)
        if event is None:
            return None
        self.point(name)
        return self.version(name, event.version)

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
            f"{', '.join(map(str, known))}."
        )

    def find(self, name: str, number: int) -> Version | None:
        """Return a version by its number; None where there is none.

        Raises:
            PupilaError: its manifest is none that this version can read.
        """
        content = self.storage.read(f"{folder_of(name, number)}/{MANIFEST}")
        return None if content is None else read_version(content, self.place(name, number))

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of all whole versions; those that were never current too."""
        found = (
            int(child)
            for child in self.storage.children(f"{name}/{_VERSIONS}")
            if child.isdecimal()
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
        listed = f" Known: {', '.join(known)}." if known else " Nothing was published there yet."
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
                f"{', '.join(version.artifacts)}.{nearest(entry, version.artifacts)}"
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

        It follows the events, and is mended when it is next looked at, where that fails.
        """
        event = last_event(self.storage, name)
        file = f"{name}/{_POINTER}"
        if event is None or event.number <= _event_number(self.storage.read(file)):
            return
        path = f"{_VERSIONS}/{event.version:06d}"
        pointer = {"version": event.version, "path": path, "event": event.number}
        with suppress(PupilaError):  # who reads need not be allowed to write
            self.storage.replace(file, json.dumps(pointer, indent=2).encode())


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
    return f"{name}/{_VERSIONS}/{number:06d}"


def _event_number(content: bytes | None) -> int:
    """Return up to which event a pointer was written; 0 where it tells none."""
    try:
        return int(json.loads(content or b"")["event"])
    except (ValueError, KeyError, TypeError):
        return 0
