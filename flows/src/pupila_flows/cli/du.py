"""`pupila du`: what takes room in a workspace, and which of it may be deleted."""

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
    "runs": ("results and reports", "old ones, by `pupila gc`"),
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
    if warning := Workspace(workspace).nearly_full:
        say(f"warning: {warning}", file=sys.stderr)


def used(workspace: Path) -> list[Used]:
    """Return what takes room in a workspace, the largest first; nothing outside it is followed."""
    found = [
        Used(each.name, bytes_of(each), *_FOLDERS.get(each.name, ("not ours", "if it is yours")))
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
