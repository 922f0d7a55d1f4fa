"""`pupila teacher`: adds teachers to the teacher store under a name, and lists them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pupila.digest import short_digest
from pupila.errors import PupilaError
from pupila_flows.cli.console import print_table, say, working
from pupila_flows.cli.options import HERE, AsJson, LearnedTask, PixelScaling, WorkspaceFolder

if TYPE_CHECKING:
    from pupila_flows.teachers import StoredTeacher

app = typer.Typer(
    no_args_is_help=True,
    help="Keep trained teachers by name, so that recipes get the latest: `path: teacher:NAME`.",
)


@app.command()
def add(
    file: Annotated[
        Path,
        typer.Argument(
            help="Model file, SavedModel folder, or folder of an artifact.", show_default=False
        ),
    ],
    name: Annotated[str, typer.Option(help="Name in the teacher store.", show_default=False)],
    classes: Annotated[
        str | None,
        typer.Option(help="Class of each output column; by default those of the last version."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(help="softmax, logits or sigmoid; by default that of the last version."),
    ] = None,
    preprocess: PixelScaling = None,
    task: LearnedTask = None,
    trained_on: Annotated[
        Path | None,
        typer.Option(
            help="Folder or CSV of the images that it was trained on (its split `test` aside): the "
            "release gate compares with no model that has seen the test images.",
        ),
    ] = None,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Add a teacher to the teacher store, and notify Prefect, which runs what depends on it."""
    from pupila_flows.run.add_teacher import add_teacher
    from pupila_flows.run.given_models import parse_classes
    from pupila_flows.workspace import Workspace

    opened = Workspace.at(workspace)
    with working(as_json), opened.writing():
        names = parse_classes(classes, task)
        added = add_teacher(opened, name, file, names, output, trained_on, task, preprocess)
    notified = added.changed and _notify(opened.root, added.teacher)
    if as_json:
        print(json.dumps(_row(added.teacher) | {"changed": added.changed, "notified": notified}))
        return
    version = f"{name}, version {added.teacher.version}"
    if not added.changed:
        say(f"{version} is in the teacher store already: nothing changed, no trigger was started.")
    else:
        ends = (
            "Prefect was notified"
            if notified
            else "no Prefect server was notified, so no trigger starts a run"
        )
        say(f"{version} is what runs use from now on; {ends}.")


@app.command(name="list")
def list_(workspace: WorkspaceFolder = HERE, as_json: AsJson = False) -> None:
    """List the teachers of the teacher store, with all their versions."""
    from pupila_flows.teachers import TeacherStore

    teacher_store = TeacherStore.of(workspace.resolve())
    rows = [
        _row(teacher) | {"current": teacher == teacher_store.current(name)}
        for name in teacher_store.names()
        for teacher in teacher_store.versions(name)
    ]
    if as_json:
        print(json.dumps({"teachers": rows}))
    elif not rows:
        say(f"The teacher store of {workspace} is empty: `pupila teacher add FILE --name NAME`.")
    else:
        print_table([_as_text(row) for row in rows])


def _notify(workspace: Path, teacher: StoredTeacher) -> bool:
    """Notify the server in PREFECT_API_URL, or else the station; return whether it was notified."""
    from pupila_flows.station.address import known_api
    from pupila_flows.station.retrained import emit_retrained

    try:
        api = known_api(workspace, os.environ)
    except PupilaError as error:
        say(
            f"warning: {error} The teacher is in the store; start the deployment that depends on "
            "it by hand.",
            file=sys.stderr,
        )
        return False
    if api is None:
        return False
    try:
        emit_retrained(api, teacher)
    except PupilaError as error:
        say(f"warning: {error}", file=sys.stderr)
        return False
    return True


def _row(teacher: StoredTeacher) -> dict[str, object]:
    record = teacher.record
    return {
        "name": teacher.name,
        "version": teacher.version,
        "source": record.source,
        "sha256": record.sha256,
        "added": record.added,
        "classes": list(record.classes),
        "output": record.output,
        "task": record.task,
        "preprocess": record.preprocess,
        "training_images": "known" if teacher.training_images else "unknown",
        "path": str(teacher.path),
    }


def _as_text(row: dict[str, object]) -> dict[str, str]:
    return {
        "name": str(row["name"]),
        "version": f"{row['version']}{' (current)' if row['current'] else ''}",
        "source": str(row["source"]),
        "sha256": short_digest(str(row["sha256"])),
        "added": str(row["added"]),
        "classes": ", ".join(map(str, row["classes"])),  # pyright: ignore[reportArgumentType]
        "output": str(row["output"]),
    }
