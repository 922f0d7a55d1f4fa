"""`pupila du`: what takes room in a workspace, and which of it may be deleted."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pupila.errors import PupilaError
from pupila_flows.cli.console import print_table, say
from pupila_flows.cli.options import HERE, AsJson, WorkspaceFolder

_NEARLY_FULL = 0.9
_MB = 1_000_000
_FOLDERS = {
    "store": ("artifacts, and the ledger of what was made", "no: all would be made again"),
    "teachers": ("the shelf", "no"),
    "registry": ("what was published", "no"),
    "runs": ("results and reports", "old ones"),
    "asked": ("which models the test images decided about", "never: the count would begin anew"),
    "station": ("Prefect's database of the station", "no: schedules and past runs are in it"),
    "data-docs": ("pages of data checks", "yes, when nothing runs"),
    "cache": ("resized images, answers of models", "yes, when nothing runs: made again"),
    "scratch": ("checkpoints of steps under way", "yes, when nothing runs: they begin anew"),
    "logs": ("what jobs print", "yes, when nothing runs"),
    "locks": ("who works on what", "yes, when nothing runs"),
    "prefect": ("database of runs without a station", "yes, when nothing runs"),
}


class Used(NamedTuple):
    """What one entry of a workspace takes on disk."""

    name: str
    bytes: int
    what: str
    may_be_deleted: str


def show(workspace: WorkspaceFolder = HERE, as_json: AsJson = False) -> None:
    """Show what takes room in a workspace, and what of it may be deleted."""
    if not workspace.is_dir():
        raise PupilaError(
            f"At {str(workspace)!r} there is no workspace: name one with --workspace."
        )
    found = used(workspace)
    if as_json:
        print(json.dumps([each._asdict() for each in found]))
        return
    print_table(rows_of(found))
    warn_if_nearly_full(workspace)


def warn_if_nearly_full(workspace: Path) -> None:
    """Print a line where the disk of a workspace has little room left."""
    if warning := nearly_full(workspace):
        say(f"warning: {warning}", file=sys.stderr)


def used(workspace: Path) -> list[Used]:
    """Return what takes room in a workspace, the largest first; nothing outside it is followed."""
    found = [
        Used(each.name, _bytes_of(each), *_FOLDERS.get(each.name, ("not ours", "if it is yours")))
        for each in workspace.iterdir()
    ]
    return sorted(found, key=lambda each: -each.bytes)


def rows_of(found: list[Used]) -> list[dict[str, str]]:
    """Return a row of text for each, and one of the sum."""
    whole = Used("", sum(each.bytes for each in found), "in all", "")
    return [
        {
            "": each.name,
            "MB": f"{each.bytes / _MB:,.1f}",
            "what": each.what,
            "may be deleted": each.may_be_deleted,
        }
        for each in (*found, whole)
    ]


def nearly_full(workspace: Path) -> str | None:
    """Say how full the disk of a workspace is, from nine tenths on."""
    usage = shutil.disk_usage(workspace)
    part = 1 - usage.free / usage.total if usage.total else 0
    if part < _NEARLY_FULL:
        return None
    return (
        f"The disk of {str(workspace)!r} is {part:.0%} full, with {usage.free / _MB:,.0f} MB left: "
        "`pupila du` tells what may be deleted."
    )


def _bytes_of(path: Path) -> int:
    """Return the bytes on disk of a file, or of a folder with all below it; hard links once."""
    blocks = {(each.st_dev, each.st_ino): each.st_blocks for each in _statuses(path)}
    return 512 * sum(blocks.values())


def _statuses(path: Path) -> Iterator[os.stat_result]:
    try:
        yield path.lstat()
        if path.is_dir() and not path.is_symlink():
            for each in path.iterdir():
                yield from _statuses(each)
    except OSError:  # gone meanwhile, or not ours to read
        return
