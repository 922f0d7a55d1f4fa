"""Collects the provenance of a version: the chain of digests, the run and the data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pupila_flows.registry.manifest import DataFacts, Link, PublishedFile, RunFacts
from pupila_flows.results import RunResult


def chain_of(result: RunResult, artifacts: Mapping[str, str]) -> dict[str, Link]:
    """Return the given artifacts and all artifacts that they were made from, by digest.

    The chain ends at the teachers: each is a model file, or an artifact of another run.
    """
    links = {
        entry.artifact: Link(
            entry=entry.name, kind=entry.kind, uses=entry.uses, record=entry.record
        )
        for entry in reversed(result.entries)  # of identical artifacts, the first entry is named
        if entry.artifact and entry.record
    }
    chain: dict[str, Link] = {}
    pending = list(artifacts.values())
    while pending:
        digest = pending.pop()
        if digest not in chain and digest in links:
            chain[digest] = links[digest]
            pending += inputs_of(links[digest])
    return chain


def inputs_of(link: Link) -> tuple[str, ...]:
    """Return the digests of the artifacts that a link was made from; none for a teacher."""
    return () if link.kind == "teacher" else link.record.origin.inputs


def run_facts(result: RunResult) -> RunFacts:
    """Return the facts about a run that the manifest records."""
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
    """Return the facts about a run's data that the manifest records."""
    data = result.data
    return DataFacts(
        name=Path(data.path).name,
        fingerprint=data.fingerprint,
        classes=data.classes,
        positive=data.positive,
        counts=data.counts,
    )


def files_of(folder: Path) -> dict[str, PublishedFile]:
    """Return digest and size of every file below a folder, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): _file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _file(path: Path) -> PublishedFile:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return PublishedFile(sha256=digest, size_bytes=path.stat().st_size)
