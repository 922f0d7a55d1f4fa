"""`pupila gc`: frees what nothing in a workspace needs any more."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from pupila.errors import PupilaError
from pupila.store import Store
from pupila_flows.cli.console import print_table, say
from pupila_flows.cli.options import HERE, AsJson, Keep, WorkspaceFolder, seconds_of

_MB = 1_000_000


def collect(
    keep: Keep = "30d",
    dry_run: Annotated[bool, typer.Option(help="Say what would go, and remove nothing.")] = False,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Remove what no registry, teacher or recent run needs; never while a run is under way.

    Of each name the last run stays, and the last that published, with all that makes their next
    nights find nothing to do.
    """
    from pupila_flows.garbage.collect import collect
    from pupila_flows.workspace import Workspace

    seconds = seconds_of(keep)
    if not Store(workspace / "store").is_used:  # anyone's folder may have `logs` and `cache`
        raise PupilaError(
            f"{str(workspace)!r} is no workspace in which anything was made: name one with "
            "--workspace."
        )
    done = collect(Workspace.at(workspace), seconds, dry_run=dry_run)
    if as_json:
        freed = [asdict(each) for each in done.freed]
        print(json.dumps({"dry_run": dry_run, "freed": freed, "unread": done.unread}))
        return
    for reason in done.unread:
        say(f"warning: {reason} What runs have published there is kept.", file=sys.stderr)
    print_table(
        [
            {"": each.kind, "number": str(each.count), "MB": f"{each.bytes / _MB:,.1f}"}
            for each in done.freed
        ]
    )
    whole = sum(each.bytes for each in done.freed) / _MB
    say(f"{whole:,.1f} MB {'would be' if dry_run else 'were'} freed.")
