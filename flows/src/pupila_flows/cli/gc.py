"""`pupila gc`: removes from a workspace the files that nothing needs any more."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from pupila.errors import PupilaError
from pupila.store import Store
from pupila_flows.cli.console import print_table, say
from pupila_flows.cli.options import HERE, AsJson, Keep, WorkspaceFolder, parse_duration

_MB = 1_000_000


def collect(
    keep: Keep = "30d",
    dry_run: Annotated[bool, typer.Option(help="Say what would go, and remove nothing.")] = False,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Remove what no registry, teacher or recent run needs; refused during a run.

    The last run of each name stays, and so does the last run that published. Everything that lets
    the next night reuse the results of these runs stays too.
    """
    from pupila_flows.garbage.collect import collect
    from pupila_flows.workspace import Workspace

    seconds = parse_duration(keep)
    if not Store(workspace / "store").is_used:  # anyone's folder may have `logs` and `cache`
        raise PupilaError(
            f"{str(workspace)!r} is not a workspace in which anything was made: name one with "
            "--workspace."
        )
    done = collect(Workspace.at(workspace), seconds, dry_run=dry_run)
    if as_json:
        freed = [asdict(kind) for kind in done.freed]
        print(json.dumps({"dry_run": dry_run, "freed": freed, "unread": done.unread}))
        return
    for reason in done.unread:
        say(f"warning: {reason} What runs have published there is kept.", file=sys.stderr)
    print_table(
        [
            {"": kind.kind, "number": str(kind.count), "MB": f"{kind.bytes / _MB:,.1f}"}
            for kind in done.freed
        ]
    )
    total = sum(kind.bytes for kind in done.freed) / _MB
    say(f"{total:,.1f} MB {'would be' if dry_run else 'were'} freed.")
