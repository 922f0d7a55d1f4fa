"""Verifies a published version offline: every byte of its files, and the chain to its teachers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from pupila.artifact import RECORD_NAME, RESERVED_NAMES
from pupila.errors import PupilaError
from pupila.store import digest_of, is_artifact, read_artifact
from pupila_flows.registry import verify_log
from pupila_flows.registry.events import Event
from pupila_flows.registry.manifest import ARTIFACTS, MANIFEST, RECIPE, Manifest
from pupila_flows.registry.provenance import inputs_of
from pupila_flows.registry.storage import LocalStorage, Storage
from pupila_flows.registry.versions import Registry, Version, folder_of, read_version


class Verification(BaseModel):
    """What a verification checked, and the problems it found."""

    model_config = ConfigDict(frozen=True)

    location: str
    manifest: str | None = Field(description="SHA-256 of the manifest; None for a single artifact.")
    files: int = Field(description="Files that were read.")
    problems: tuple[str, ...] = Field(description="One sentence each; empty if all is well.")
    notes: tuple[str, ...] = Field(default=(), description="Remarks that are not problems.")
    events: int = Field(default=0, description="Number of events of the name.")
    head: str | None = Field(default=None, description="SHA-256 of the last event of the name.")


def verify_version(
    registry: Registry, name: str, number: int | None, head: str | None = None
) -> Verification:
    """Verify a version and the whole log of its name.

    Without `number`, verify the current version. If `head` is given, the log must contain an event
    with this SHA-256, which a user has noted outside the registry.

    Raises:
        PupilaError: the version does not exist.
    """
    folder = verify_log.check(registry, name, head)
    log = folder.log
    if number is None:
        if not (log.events or folder.problems):
            raise registry.unknown_name(name)
        number = log.events[-1].version if log.events else None
    verification = Verification(
        location=f"{registry.storage.url}/{name}", manifest=None, files=0, problems=()
    )
    if number is not None:
        try:
            verification = check_version(registry, name, number, log.events)
        except PupilaError as error:
            if not folder.problems:
                raise
            verification = verification.model_copy(update={"problems": (str(error),)})
    return verification.model_copy(
        update={
            "problems": (*verification.problems, *folder.problems),
            "notes": folder.notes,
            "events": len(log.events),
            "head": log.digests[-1] if log.digests else None,
        }
    )


def check_version(
    registry: Registry, name: str, number: int, events: Sequence[Event]
) -> Verification:
    """Verify the files of a version, and that its events have the SHA-256 of its manifest.

    Raises:
        PupilaError: the version does not exist.
    """
    version = registry.version(name, number)
    verification = _verify(registry.storage, folder_of(name, version.number), version)
    recorded = {event.manifest for event in events if event.version == version.number}
    if recorded - {version.sha256}:
        problem = f"{MANIFEST}: it is not the one that was made current: its SHA-256 differs."
        return verification.model_copy(update={"problems": (problem, *verification.problems)})
    return verification


def is_folder(what: str) -> bool:
    """Return whether an argument of `pupila verify` means a folder, not a name in the registry."""
    folder = Path(what)
    return "/" in what or (folder / MANIFEST).is_file() or is_artifact(folder)


def verify_folder(folder: Path) -> Verification:
    """Verify the folder of a version or of a single artifact, inside or outside a registry.

    Raises:
        PupilaError: the folder is neither a version nor an artifact.
    """
    storage = LocalStorage(folder)
    content = storage.read(MANIFEST)
    if content is not None:
        return _verify(storage, "", read_version(content, storage.url))
    if not is_artifact(folder):
        raise PupilaError(
            f"{str(folder)!r} is neither a published version nor an artifact: it has no "
            f"{MANIFEST}, and no {RECORD_NAME}. Give such a folder, or a name in the registry."
        )
    return _artifact(storage, folder)


def _artifact(storage: LocalStorage, folder: Path) -> Verification:
    """Verify a single artifact against its own record."""
    present = storage.files("")
    strange = storage.irregular("")
    try:
        record = None if strange else read_artifact(folder).record
    except PupilaError as error:
        problems = (str(error),)
    else:
        known = {*record.files, *RESERVED_NAMES} if record else {*present}
        more = sorted(present.keys() - known)
        problems = (
            *(verify_log.not_followed(name, kind) for name, kind in strange.items()),
            *(f"{name}: it is not in {RECORD_NAME}." for name in more),
        )
    return Verification(location=storage.url, manifest=None, files=len(present), problems=problems)


def _verify(storage: Storage, folder: str, version: Version) -> Verification:
    problems = [*_files(storage, folder, version.manifest), *_facts(storage, folder, version)]
    return Verification(
        location=f"{storage.url}/{folder}".rstrip("/"),
        manifest=version.sha256,
        files=len(version.manifest.files) + 1,
        problems=tuple(problems),
    )


def _files(storage: Storage, folder: str, manifest: Manifest) -> Iterator[str]:
    """Yield a problem for every file that is altered, missing or not in the manifest."""
    present = storage.files(folder)
    strange = storage.irregular(folder)
    for name, kind in strange.items():
        yield verify_log.not_followed(name, kind)
    for name, file in manifest.files.items():
        if name in strange:
            continue
        if name not in present:
            yield f"{name}: it is missing."
        elif present[name] != file.size_bytes:
            yield f"{name}: it has {present[name]} bytes, and {file.size_bytes} were published."
        elif storage.digest(_within(folder, name)) != file.sha256:
            yield f"{name}: it was altered: its SHA-256 is not that of the manifest."
    for name in sorted(present.keys() - manifest.files.keys() - {MANIFEST}):
        yield f"{name}: it is not in the manifest."


def _facts(storage: Storage, folder: str, version: Version) -> Iterator[str]:
    """Yield the inconsistencies in a version's provenance: chain, artifacts and recipe."""
    manifest = version.manifest
    for digest, link in manifest.chain.items():
        if digest_of(link.record) != digest:
            yield f"{MANIFEST}: the record of {link.entry!r} has another digest than it says."
        for missing in (digest for digest in inputs_of(link) if digest not in manifest.chain):
            yield (
                f"{MANIFEST}: {link.entry!r} was made from {missing}, which is not described: the "
                f"chain is broken."
            )
    for entry, digest in manifest.artifacts.items():
        yield from _entry(entry, digest, manifest)
    recipe = storage.read(_within(folder, RECIPE))
    if recipe is not None and recipe.decode(errors="replace") != manifest.run.recipe:
        yield f"{RECIPE}: it is not the recipe that the manifest holds."


def _entry(entry: str, digest: str, manifest: Manifest) -> Iterator[str]:
    """Yield a problem if the files of an artifact are not those listed in its record."""
    link = manifest.chain.get(digest)
    if link is None:
        yield f"{MANIFEST}: the artifact {entry!r}, {digest}, is not described."
        return
    start = f"{ARTIFACTS}/{entry}/"
    published = {
        name.removeprefix(start): file.sha256
        for name, file in manifest.files.items()
        if name.startswith(start)
    }
    if {
        name: published[name] for name in published.keys() - set(RESERVED_NAMES)
    } != link.record.files:
        yield f"{start}: its files are not those of the record of {entry!r}."


def _within(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
