"""Finds what must be kept: runs, published artifacts and stored teachers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pupila.artifact import RECORD_NAME
from pupila.errors import PupilaError
from pupila.store import is_artifact, read_artifact
from pupila_flows.registry.addresses import default_address
from pupila_flows.registry.versions import open_registry
from pupila_flows.teachers import TeacherStore
from pupila_flows.workspace import Workspace

_RESULT, _REPORT = "result.json", "report.html"


@dataclass(frozen=True)
class PastRun:
    """A run that has ended: its folder, its `result.json`, and when that file was written."""

    folder: Path
    result: dict[str, Any]
    written: float

    @property
    def registry(self) -> str | None:
        """Address of the registry that the run was to publish to; None if it had no registry."""
        return self._publication("registry")

    @property
    def has_published(self) -> bool:
        return self._publication("outcome") == "published"

    def _publication(self, field: str) -> str | None:
        return _object(self.result.get("publication")).get(field)


@dataclass(frozen=True)
class Published:
    """The artifacts in registries, and the registries that cannot be read."""

    digests: frozenset[str]
    unread: dict[str, str]
    """Reason why a registry cannot be read, by the address of the registry."""


def past_runs(workspace: Workspace) -> list[PastRun]:
    """Return the runs whose result can be read, ordered by name, then from oldest to newest."""
    return [
        PastRun(folder, result, (folder / _RESULT).stat().st_mtime)
        for folder in workspace.run_folders()
        if (result := _object(read_value(folder / _RESULT)))
    ]


def kept_runs(runs: list[PastRun], unread: Iterable[str], cutoff: float) -> list[PastRun]:
    """Return the runs to keep.

    * Runs that ended since `cutoff`, a Unix time.
    * For each name of runs, the last run and the last run that published.
    * Runs that published to one of the registries `unread`, which cannot be read now.
    * Runs whose report a kept run reuses, because its own report would be the same.
    """
    last = {run.folder.parent: run for run in runs}
    published = {run.folder.parent: run for run in runs if run.has_published}
    always = {run.folder for run in (*last.values(), *published.values())}
    kept = {
        run.folder: run
        for run in runs
        if run.written >= cutoff
        or run.folder in always
        or (run.has_published and run.registry in set(unread))
    }
    reports = {(folder / _REPORT).resolve().parent for folder in kept}
    return [run for run in runs if run.folder in kept or run.folder in reports]


def published(workspace: Workspace, runs: Iterable[PastRun]) -> Published:
    """Return all artifacts in the workspace's own registry and in the registries of its runs."""
    digests: set[str] = set()
    unread: dict[str, str] = {}
    own = default_address(workspace.root)
    for address in dict.fromkeys((own, *(run.registry for run in runs if run.registry))):
        try:
            digests.update(_artifacts_in(address))
        except PupilaError as error:
            unread[address] = str(error)
    return Published(frozenset(digests), unread)


def _artifacts_in(address: str) -> Iterator[str]:
    registry = open_registry(address)
    for name in registry.names():
        for number in registry.numbers(name):
            yield from registry.version(name, number).artifacts.values()


def in_teacher_store(workspace: Workspace) -> set[str]:
    """Return the digests of artifacts that are stored teachers or were imported from one."""
    teacher_store = TeacherStore.of(workspace.root)
    names = teacher_store.names()
    teachers = [teacher for name in names for teacher in teacher_store.versions(name)]
    files = {teacher.record.sha256 for teacher in teachers}
    paths = [teacher.path for teacher in teachers]
    digests = {read_artifact(path).digest for path in paths if is_artifact(path)}
    for artifact in workspace.store.artifacts():
        record = _object(read_value(artifact / RECORD_NAME))
        if _object(record.get("origin")).get("source") in files:
            digests.add(artifact.name)
    return digests


def read_value(file: Path) -> Any:
    """Return the JSON in a file; None if it cannot be read."""
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return None


def _object(value: Any) -> dict[str, Any]:
    """Return a JSON object; an empty one in place of anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value, including all digests and paths."""
    match value:
        case str():
            yield value
        case list():
            for element in value:  # pyright: ignore[reportUnknownVariableType] - any JSON
                yield from texts_in(element)
        case dict():
            for element in value.values():  # pyright: ignore[reportUnknownVariableType] - any JSON
                yield from texts_in(element)
        case _:
            return
