"""The commands for a registry: `pupila publish`, `history`, `rollback`, `diff` and `verify`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pupila.digest import short_digest
from pupila.errors import PupilaError
from pupila_flows.cli.console import print_table, say
from pupila_flows.cli.options import HERE, AsJson, PastRun, WorkspaceFolder

if TYPE_CHECKING:
    from pupila_flows.plan.plan import Plan
    from pupila_flows.registry import Registry
    from pupila_flows.registry.diff import Difference
    from pupila_flows.registry.events import Event
    from pupila_flows.registry.verify import Verification
    from pupila_flows.results import Publication

Address = Annotated[
    str | None,
    typer.Option(
        "--registry",
        envvar="PUPILA_REGISTRY",
        help="Folder or URL of the registry; by default `registry` in the workspace.",
        show_default=False,
    ),
]
Name = Annotated[str, typer.Argument(help="Name that was published.", show_default=False)]


def publish(
    run: Annotated[str, PastRun],
    override: Annotated[
        bool, typer.Option("--override", help="Publish it though its gate did not pass.")
    ] = False,
    by: Annotated[
        str | None, typer.Option(help="Who answers for the override.", show_default=False)
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why it is right all the same.", show_default=False)
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option(
            "--registry", help="Another registry than its recipe names.", show_default=False
        ),
    ] = None,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Publish a past run that passed its gate, or any other run with --override, --by, --reason."""
    from pupila_flows.registry.publish_past import publish_past
    from pupila_flows.report.past_runs import find_run
    from pupila_flows.workspace import Workspace

    signed = _signature(override, by, reason)
    opened = Workspace.at(workspace)
    with opened.in_use():
        publication = publish_past(opened, find_run(opened, run), registry, signed)
    if as_json:
        print(publication.model_dump_json())
    else:
        print_publication(publication)
    sys.exit(1 if publication.outcome == "withheld" else 0)


def warn_without_gate(plan: Plan) -> None:
    """Warn before a run if its recipe publishes models but has no gate."""
    from pupila_flows.recipe.publish import NO_GATE

    if plan.recipe.publish and not plan.recipe.gate:
        say(f"warning: {NO_GATE}", file=sys.stderr)


def print_publication(publication: Publication) -> None:
    """Print what was published, or warn that nothing was published."""
    where = f"{publication.name} in {publication.registry}"
    if publication.outcome == "withheld":
        say(f"warning: {where}: {publication.reason}", file=sys.stderr)
    else:
        say(f"Registry: {where}: {publication.reason}")
    if publication.head:
        say(f"SHA-256 of its event, to keep elsewhere: {publication.head}")


def history(
    name: Annotated[
        str | None,
        typer.Argument(help="Name that was published; by default all.", show_default=False),
    ] = None,
    registry: Address = None,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """List what was published and rolled back, by whom and why; the last line is current."""
    if name is None:
        _list_published(registry, workspace, as_json)
        return
    opened = _open(registry, workspace)
    events = opened.events(name)
    if not events:
        raise opened.unknown_name(name)
    known = {event.version for event in events}
    never = [number for number in opened.numbers(name) if number not in known]
    if as_json:
        rows = [event.model_dump(mode="json") for event in events]
        print(json.dumps({"current": events[-1].version, "events": rows, "never_current": never}))
        return
    print_table([_event_row(event) for event in events])
    location = opened.location(name, events[-1].version)
    say(f"Current: version {events[-1].version}, {location}")
    if never:
        say(f"Never current: {', '.join(f'version {number}' for number in never)}")


def _list_published(registry: str | None, workspace: Path, as_json: bool) -> None:
    """List the current version of every name, in every registry that the workspace knows of."""
    from pupila_flows.registry.addresses import resolve_address
    from pupila_flows.registry.published import list_published
    from pupila_flows.workspace import Workspace

    opened = Workspace.at(workspace)
    rows = list_published(opened, resolve_address(registry, Path.cwd()) if registry else None)
    if as_json:
        print(json.dumps({"published": rows}))
    elif rows:
        print_table(rows)
        say("`pupila history NAME --registry REGISTRY` lists all that happened to a name.")
    else:
        say("Nothing was published yet: `pupila run` publishes what passes the gate of a recipe.")


def rollback(
    name: Name,
    reason: Annotated[
        str, typer.Option(help="Why; it is kept in the history.", show_default=False)
    ],
    to: Annotated[
        int | None,
        typer.Option(
            min=1, help="Version; by default the one before the current.", show_default=False
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Who; by default user and host.", show_default=False)
    ] = None,
    registry: Address = None,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Make an older version current again; nothing is deleted."""
    from pupila_flows.registry.events import user_and_host
    from pupila_flows.registry.rollback import roll_back

    signed = user_and_host() if by is None else _check_text("by", by)
    event = roll_back(_open(registry, workspace), name, to, signed, _check_text("reason", reason))
    if as_json:
        print(event.model_dump_json())
    else:
        say(f"Version {event.version} of {name} is current again, after version {event.previous}.")


def diff(
    name: Name,
    before: Annotated[int, typer.Argument(help="Version.", metavar="V1", show_default=False)],
    after: Annotated[int, typer.Argument(help="Version.", metavar="V2", show_default=False)],
    registry: Address = None,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Show what changed between two versions: recipe, teachers, data, figures, verdicts."""
    from pupila_flows.registry.diff import diff

    difference = diff(_open(registry, workspace), name, before, after)
    print(difference.model_dump_json()) if as_json else _print_difference(difference)


def verify(
    what: Annotated[
        str,
        typer.Argument(
            metavar="PATH_OR_NAME",
            help="Folder of a version or an artifact, or a name in the registry.",
            show_default=False,
        ),
    ],
    version: Annotated[
        int | None, typer.Option(min=1, help="Version of the name; by default the current.")
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="SHA256",
            help="Digest of an event, kept elsewhere, that must be in the log.",
            show_default=False,
        ),
    ] = None,
    registry: Address = None,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Check offline that files are as published, and the chain from the teachers is complete."""
    from pupila_flows.registry.verify import is_folder, verify_folder, verify_version

    digest = _digest(head)
    if version is None and is_folder(what):
        if digest:
            raise PupilaError(
                f"--head compares with the events of a name, and {what!r} is a folder: give the "
                f"name, with --registry."
            )
        verification = verify_folder(Path(what))
    else:
        verification = verify_version(_open(registry, workspace), what, version, digest)
    print(verification.model_dump_json()) if as_json else _print_verification(verification)
    sys.exit(1 if verification.problems else 0)


def _digest(head: str | None) -> str | None:
    """Return the digest in --head, in lower case."""
    digest = head.strip().lower() if head is not None else None
    if digest is not None and not re.fullmatch("[0-9a-f]{64}", digest):
        raise PupilaError(
            f"--head is {head!r}, and a SHA-256 has 64 digits 0-9a-f: give one that `pupila "
            f"publish` or `pupila verify` printed."
        )
    return digest


def _print_verification(verification: Verification) -> None:
    for line in (*verification.problems, *verification.notes):
        say(line)
    if verification.problems:
        return
    manifest = (
        f"; SHA-256 of its manifest: {verification.manifest}" if verification.manifest else ""
    )
    say(
        f"{verification.location} is whole: {verification.files} files are what was published"
        f"{manifest}."
    )
    if verification.head:
        say(
            f"Its log holds together; SHA-256 of the last of {verification.events} events: "
            f"{verification.head}"
        )


def _open(registry: str | None, workspace: Path) -> Registry:
    from pupila_flows.registry import open_registry
    from pupila_flows.registry.addresses import resolve_address

    return open_registry(
        resolve_address(registry, Path.cwd()) if registry else str(workspace / "registry")
    )


def _signature(override: bool, by: str | None, reason: str | None) -> tuple[str, str] | None:
    """Return who overrides the gate and why; None without an override."""
    if not override:
        if by or reason:
            raise PupilaError("--by and --reason sign an --override: give that too, or leave them.")
        return None
    return _check_text("by", by), _check_text("reason", reason)


def _check_text(option: str, value: str | None) -> str:
    if not value or not value.strip():
        raise PupilaError(
            f"--{option} is {value!r}: state it in words; it is kept with the version permanently."
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PupilaError(
            f"--{option} is {value!r}, which is not UTF-8: write it in a terminal of that encoding."
        ) from None
    return value.strip()


def _event_row(event: Event) -> dict[str, str]:
    return {
        "version": str(event.version),
        "what": "override" if event.override else event.kind,
        "when": event.at,
        "by": event.by,
        "reason": event.reason,
        "manifest": short_digest(event.manifest),
    }


def _print_difference(difference: Difference) -> None:
    for setting in difference.recipe:
        say(setting)
    print_table(
        [
            {
                "what": change.what,
                f"version {difference.before}": change.before,
                f"version {difference.after}": change.after,
            }
            for change in difference.changes
        ]
    )
    if not (difference.recipe or difference.changes):
        say(
            f"Versions {difference.before} and {difference.after} of {difference.name} do not "
            "differ."
        )
