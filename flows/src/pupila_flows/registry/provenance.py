"""From a run to what a version says of it: the chain of digests, and the facts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pupila_flows.registry.manifest import DataFacts, Link, PublishedFile, RunFacts
from pupila_flows.results import RunResult


def chain_of(result: RunResult, artifacts: Mapping[str, str]) -> dict[str, Link]:
    """Return what artifacts were made from, back to the teachers, by digest.

    A teacher that is an artifact of another run is where the chain begins, as a model file is.
    """
    links = {
        entry.artifact: Link(
            entry=entry.name, kind=entry.kind, uses=entry.uses, record=entry.record
        )
        for entry in reversed(result.entries)  # of those alike, the first is named
        if entry.artifact and entry.record
    }
    found: dict[str, Link] = {}
    ahead = list(artifacts.values())
    while ahead:
        digest = ahead.pop()
        if digest not in found and digest in links:
            found[digest] = links[digest]
            ahead += inputs_of(links[digest])
    return found


def inputs_of(link: Link) -> tuple[str, ...]:
    """Return the digests that a link's artifact was made from; those of a teacher are its own."""
    return () if link.kind == "teacher" else link.record.origin.inputs


def run_facts(result: RunResult) -> RunFacts:
    """Return what a manifest tells of the run."""
    return RunFacts(
        recipe=result.recipe_text,
        started=result.started,
        seconds=result.seconds,
        seed=result.seed,
        synthetic=result.synthetic,
        machine=result.machine,
        versions=result.versions,
    )


def data_facts(result: RunResult) -> DataFacts:
    """Return what a manifest tells of the data."""
    data = result.data
    return DataFacts(
        name=Path(data.path).name,
        fingerprint=data.fingerprint,
        classes=data.classes,
        positive=data.positive,
        counts=data.counts,
    )


def files_of(folder: Path) -> dict[str, PublishedFile]:
    """Return digest and size of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): _file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _file(path: Path) -> PublishedFile:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return PublishedFile(sha256=digest, size_bytes=path.stat().st_size)
