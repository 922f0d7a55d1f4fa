"""Collects garbage: lists everything that nothing needs, then removes it.

If the process is killed while it removes files, the workspace stays valid: a remembered result is
removed before the files that it names.
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
    PastRun,
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
"""Fields of the remembered result of a job that stored an artifact."""


@dataclass(frozen=True)
class Garbage:
    """A file or folder that nothing needs."""

    kind: str
    """Kind of garbage, such as `artifacts`."""
    path: Path


@dataclass(frozen=True)
class Freed:
    """How much garbage of one kind was removed or, in a dry run, would have been removed."""

    kind: str
    count: int
    bytes: int


@dataclass(frozen=True)
class Collection:
    """The result of a garbage collection."""

    freed: tuple[Freed, ...]
    unread: tuple[str, ...]
    """Reasons why registries could not be read."""


def collect(workspace: Workspace, keep_seconds: float, *, dry_run: bool) -> Collection:
    """Remove files that no run, registry or teacher needs, and return what was removed.

    Files that were used in the last `keep_seconds` are kept. A dry run removes nothing.

    Raises:
        PupilaError: a run or a job is under way in the workspace.
    """
    with workspace.exclusive():
        _check_idle(workspace)
        runs = past_runs(workspace)
        registered = published(workspace, runs)
        cutoff = time.time() - keep_seconds
        kept = kept_runs(runs, registered.unread, cutoff)
        garbage = find(workspace, runs, kept, registered.digests, cutoff)
        freed = _freed(garbage)
        if not dry_run:
            for piece in garbage:
                _remove(workspace, piece)
        home = workspace.root / "prefect"
        if old := prefect_runs.count_older(home, cutoff):
            less = prefect_runs.forget_older(home, keep_seconds, dry_run=dry_run)
            freed.append(Freed("runs in Prefect's database", old, less))
    return Collection(tuple(freed), tuple(registered.unread.values()))


def find(
    workspace: Workspace,
    runs: list[PastRun],
    kept: list[PastRun],
    digests: frozenset[str],
    cutoff: float,
) -> list[Garbage]:
    """List the files and folders that may be removed.

    The list leaves out the runs `kept`, the published artifacts with the given `digests`, stored
    teachers, and everything used since `cutoff` (a Unix time). Files and artifacts that a kept file
    names are left out as well. In the list, an entry comes before the entries that it names.
    """
    names = {*digests, *in_teacher_store(workspace)}
    names.update(text for run in kept for text in texts_in(run.result))
    keys = {key for run in kept for key in texts_in(read_value(workspace.jobs_of(run.folder)))}
    garbage: list[Garbage] = []
    for note in workspace.store.notes():
        value = read_value(note)
        if note.stem in keys or _makes_one_of(value, names) or _is_newer(note, cutoff):
            names.update(texts_in(value))
        else:
            garbage.append(Garbage("remembered results", note))
    stays, ended = {run.folder for run in kept}, {run.folder for run in runs}
    garbage += (
        Garbage("runs", folder)
        for folder in workspace.run_folders()
        if folder not in stays and (folder in ended or not _is_newer(folder, cutoff))
    )
    garbage += _beside_the_store(workspace, names, cutoff)
    garbage += _in_the_store(workspace, names)
    return garbage


def _makes_one_of(value: Any, artifacts: set[str]) -> bool:
    """Tell whether `value` is the remembered result of a job that stored one of `artifacts`."""
    return isinstance(value, dict) and value.keys() == _STORED and value["artifact"] in artifacts


def _beside_the_store(workspace: Workspace, names: set[str], cutoff: float) -> Iterator[Garbage]:
    """Yield old files outside the store that can be made again, except what `names` protects."""
    root = workspace.root
    noted = {note.stem for note in workspace.store.notes()}
    pages = {str(above) for name in names if name.startswith("/") for above in Path(name).parents}
    for folder in sorted(root.glob("data-docs/*")):
        if str(folder) not in pages and not _is_newer(folder, cutoff):
            yield Garbage("data docs", folder)
    for folder in sorted(root.glob("scratch/*")):
        if folder.name in noted or not _is_newer(folder, cutoff):
            yield Garbage("checkpoints", folder)
    for file in sorted(workspace.cache.rglob("*")):
        is_named = any(str(path) in names for path in (file, *file.parents))
        if not (file.is_dir() or is_named or _is_read(file, cutoff)):
            yield Garbage("caches", file)
    for file in sorted([*root.glob("logs/*"), *root.glob("locks/*")]):
        if file != workspace.lock("workspace") and not _is_newer(file, cutoff):
            yield Garbage(file.parent.name, file)


def _in_the_store(workspace: Workspace, names: set[str]) -> Iterator[Garbage]:
    unnamed = [artifact for artifact in workspace.store.artifacts() if artifact.name not in names]
    inodes = ((status.st_dev, status.st_ino) for path in unnamed for status in statuses(path))
    links = Counter(inodes)
    yield from (Garbage("artifacts", artifact) for artifact in unnamed)
    for file in workspace.store.shared():
        status = file.lstat()
        if links[status.st_dev, status.st_ino] + 1 == status.st_nlink:
            yield Garbage("artifacts", file)
    yield from (Garbage("drafts", draft) for draft in workspace.store.leftovers())


def _is_newer(path: Path, cutoff: float) -> bool:
    """Tell whether a file, or anything in a folder, was written since `cutoff`."""
    return any(status.st_mtime >= cutoff for status in statuses(path))


def _is_read(path: Path, cutoff: float) -> bool:
    """Tell whether a file was read or written since `cutoff`; some disks record only writing."""
    return any(max(status.st_mtime, status.st_atime) >= cutoff for status in statuses(path))


def _check_idle(workspace: Workspace) -> None:
    """Refuse to collect while a job is under way; on a cluster, a job may outlive its run."""
    for lock in sorted(workspace.root.glob("locks/*.lock")):
        if lock != workspace.lock("workspace") and is_held(lock):
            raise PupilaError(
                f"A job is under way in {str(workspace.root)!r}, and holds {lock.name!r}: try "
                "again when it has ended."
            )


def _freed(garbage: list[Garbage]) -> list[Freed]:
    count: Counter[str] = Counter()
    size: Counter[str] = Counter()
    paths = (piece.path for piece in garbage)
    for piece, freed in zip(garbage, freed_bytes(paths), strict=True):
        count[piece.kind] += 1
        size[piece.kind] += freed
    return [Freed(kind, number, size[kind]) for kind, number in count.items()]


def _remove(workspace: Workspace, garbage: Garbage) -> None:
    path = garbage.path
    if garbage.kind == "artifacts" and path.is_dir():
        workspace.store.discard(path)
    elif path.is_dir() and not path.is_symlink():
        (path / "result.json").unlink(missing_ok=True)  # without it this counts as no run
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    with suppress(OSError):  # others are in it
        if path.parent.parent != workspace.root:
            path.parent.rmdir()
