"""`pupila du`: shows what takes up disk space in a workspace, and what may be deleted."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

from pupila.errors import PupilaError
from pupila_flows.cli.console import print_table, say
from pupila_flows.cli.options import HERE, AsJson, WorkspaceFolder
from pupila_flows.garbage.size import bytes_of
from pupila_flows.workspace import Workspace

_MB = 1_000_000
_FOLDERS = {
    "store": ("artifacts, and the ledger of what was made", "by `pupila gc`: what is of use stays"),
    "teachers": ("the teacher store", "no"),
    "registry": ("what was published", "no"),
    "recipes": ("recipes that were built in Python", "yes: written again by the next run"),
    "runs": ("results and reports", "old ones, by `pupila gc`"),
    "test-images": (
        "which models the test images decided about",
        "never: the count would start again",
    ),
    "station": ("Prefect's database of the station", "no: schedules and past runs are in it"),
    "data-docs": ("pages of data checks", "yes, when nothing runs"),
    "cache": ("resized images, answers of models", "yes, when nothing runs: made again"),
    "scratch": ("checkpoints of steps under way", "yes, when nothing runs: they start again"),
    "logs": ("what jobs print", "yes, when nothing runs"),
    "locks": ("who works on what", "yes, when nothing runs"),
    "prefect": ("database of runs without a station", "yes, when nothing runs"),
}


class DiskUse(NamedTuple):
    """The disk use in bytes of one file or folder at the top level of a workspace."""

    name: str
    bytes: int
    what: str
    may_be_deleted: str


def show(workspace: WorkspaceFolder = HERE, as_json: AsJson = False) -> None:
    """Show what takes room in a workspace, and what may be deleted."""
    if not workspace.is_dir():
        raise PupilaError(f"{str(workspace)!r} is not a workspace: name one with --workspace.")
    entries = disk_use(workspace)
    if as_json:
        print(json.dumps([entry._asdict() for entry in entries]))
        return
    print_table(rows_of(entries))
    warn_if_nearly_full(workspace)


def warn_if_nearly_full(workspace: Path) -> None:
    """Print a warning if the disk of a workspace is nearly full."""
    if warning := Workspace(workspace).nearly_full:
        say(f"warning: {warning}", file=sys.stderr)


def disk_use(workspace: Path) -> list[DiskUse]:
    """Return the disk use of everything at the top level of a workspace, largest first."""
    entries = [
        DiskUse(path.name, bytes_of(path), *_FOLDERS.get(path.name, ("not ours", "if it is yours")))
        for path in workspace.iterdir()
    ]
    return sorted(entries, key=lambda entry: -entry.bytes)


def rows_of(entries: list[DiskUse]) -> list[dict[str, str]]:
    """Return a table row for each entry, and one for the total."""
    total = DiskUse("", sum(entry.bytes for entry in entries), "in all", "")
    return [
        {
            "": entry.name,
            "MB": f"{entry.bytes / _MB:,.1f}",
            "what": entry.what,
            "may be deleted": entry.may_be_deleted,
        }
        for entry in (*entries, total)
    ]
