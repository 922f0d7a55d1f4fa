"""Collecting garbage: first all that is to go is listed, then it is removed.

A process that is killed amid it leaves a workspace in which less is remembered, and nothing wrong.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pupila.errors import PupilaError
from pupila_flows.execution.locks import is_held
from pupila_flows.garbage import prefect_runs
from pupila_flows.garbage.roots import (
    Past,
    in_teacher_store,
    kept_runs,
    past_runs,
    published,
    read_value,
    texts_in,
)
from pupila_flows.garbage.size import freed_bytes, statuses
from pupila_flows.workspace import Workspace

_STORED = {"artifact", "format"}
"""Fields of the result of a job that stores an artifact."""


@dataclass(frozen=True)
class Garbage:
    """Something that nothing needs."""

    kind: str
    """In words: `artifacts`."""
    path: Path


@dataclass(frozen=True)
class Freed:
    """What was freed of one kind, or would be."""

    kind: str
    count: int
    bytes: int


@dataclass(frozen=True)
class Collected:
    """What came of a collection."""

    freed: tuple[Freed, ...]
    unread: tuple[str, ...]
    """Why registries could not be asked."""


def collect(workspace: Workspace, keep_seconds: float, *, dry_run: bool) -> Collected:
    """Remove what no run, registry or teacher needs and nobody has used for so long.

    Raises:
        PupilaError: somebody is at work in the workspace.
    """
    with workspace.alone():
        _demand_quiet(workspace)
        runs = past_runs(workspace)
        held = published(workspace, runs)
        cutoff = time.time() - keep_seconds
        found = find(workspace, runs, kept_runs(runs, held.unread, cutoff), held.digests, cutoff)
        freed = _freed(found)
        if not dry_run:
            for each in found:
                _remove(workspace, each)
        home = workspace.root / "prefect"
        if old := prefect_runs.count_older(home, cutoff):
            less = prefect_runs.forget_older(home, keep_seconds, dry_run=dry_run)
            freed.append(Freed("runs in Prefect's database", old, less))
    return Collected(tuple(freed), tuple(held.unread.values()))


def find(
    workspace: Workspace,
    runs: list[Past],
    kept: list[Past],
    digests: frozenset[str],
    cutoff: float,
) -> list[Garbage]:
    """List what may go: what is named by nothing that is kept, and was last used before `cutoff`.

    What names others comes before them.
    """
    names = {*digests, *in_teacher_store(workspace)}
    names.update(text for run in kept for text in texts_in(run.result))
    keys = {key for run in kept for key in texts_in(read_value(workspace.jobs_of(run.folder)))}
    found: list[Garbage] = []
    for note in workspace.store.notes():
        value = read_value(note)
        if note.stem in keys or _makes_one_of(value, names) or _is_newer(note, cutoff):
            names.update(texts_in(value))
        else:
            found.append(Garbage("remembered results", note))
    stays, ended = {run.folder for run in kept}, {run.folder for run in runs}
    found += (
        Garbage("runs", each)
        for each in sorted(workspace.runs.glob("*/*"))
        if each not in stays and (each in ended or not _is_newer(each, cutoff))
    )
    found += _beside_the_store(workspace, names, cutoff)
    found += _of_the_store(workspace, names)
    return found


def _makes_one_of(value: Any, artifacts: set[str]) -> bool:
    """Tell whether what was noted is the result of a job that stores one of some artifacts."""
    return isinstance(value, dict) and value.keys() == _STORED and value["artifact"] in artifacts


def _beside_the_store(workspace: Workspace, names: set[str], cutoff: float) -> Iterator[Garbage]:
    """Yield what can all be made again; what is named, or lies below it, stays."""
    root = workspace.root
    noted = {each.stem for each in workspace.store.notes()}
    pages = {str(above) for name in names if name.startswith("/") for above in Path(name).parents}
    for each in sorted(root.glob("data-docs/*")):
        if str(each) not in pages and not _is_newer(each, cutoff):
            yield Garbage("data docs", each)
    for each in sorted(root.glob("scratch/*")):
        if each.name in noted or not _is_newer(each, cutoff):
            yield Garbage("checkpoints", each)
    for each in sorted(workspace.cache.rglob("*")):
        is_named = any(str(path) in names for path in (each, *each.parents))
        if not (each.is_dir() or is_named or _is_read(each, cutoff)):
            yield Garbage("caches", each)
    for each in sorted([*root.glob("logs/*"), *root.glob("locks/*")]):
        if each != workspace.lock("workspace") and not _is_newer(each, cutoff):
            yield Garbage(each.parent.name, each)


def _of_the_store(workspace: Workspace, names: set[str]) -> Iterator[Garbage]:
    gone = [each for each in workspace.store.artifacts() if each.name not in names]
    links = Counter((each.st_dev, each.st_ino) for artifact in gone for each in statuses(artifact))
    yield from (Garbage("artifacts", each) for each in gone)
    for each in workspace.store.shared():
        status = each.lstat()
        if links[status.st_dev, status.st_ino] + 1 == status.st_nlink:
            yield Garbage("artifacts", each)
    yield from (Garbage("drafts", each) for each in workspace.store.leftovers())


def _is_newer(path: Path, cutoff: float) -> bool:
    """Tell whether a file, or a folder or anything in it, was written since."""
    return any(each.st_mtime >= cutoff for each in statuses(path))


def _is_read(path: Path, cutoff: float) -> bool:
    """Tell whether a file was written or read since; some disks note only the former."""
    return any(max(each.st_mtime, each.st_atime) >= cutoff for each in statuses(path))


def _demand_quiet(workspace: Workspace) -> None:
    """Refuse where a job is under way: on a worker of a cluster it may outlive its run."""
    for lock in sorted(workspace.root.glob("locks/*.lock")):
        if lock != workspace.lock("workspace") and is_held(lock):
            raise PupilaError(
                f"A job is under way in {str(workspace.root)!r}, and holds {lock.name!r}: try "
                "again when it has ended."
            )


def _freed(found: list[Garbage]) -> list[Freed]:
    count: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for each, freed in zip(found, freed_bytes(each.path for each in found), strict=True):
        count[each.kind] += 1
        size[each.kind] += freed
    return [Freed(kind, number, size[kind]) for kind, number in count.items()]


def _remove(workspace: Workspace, garbage: Garbage) -> None:
    path = garbage.path
    if garbage.kind == "artifacts" and path.is_dir():
        workspace.store.discard(path)
    elif path.is_dir() and not path.is_symlink():
        (path / "result.json").unlink(missing_ok=True)  # without it there is no run
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    with suppress(OSError):  # others are in it
        if path.parent.parent != workspace.root:
            path.parent.rmdir()
