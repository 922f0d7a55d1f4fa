"""Options shared by several commands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from pupila.errors import PupilaError
from pupila.pixel_scaling import Preprocess
from pupila_flows.workspace import DEFAULT, VARIABLE, check_workspace

RecipeFile = Annotated[Path, typer.Argument(help="Recipe, a YAML file.", show_default=False)]
PastRun = typer.Argument(
    metavar="RUN",
    help="Name of a recipe, for its latest run; a name and a time, as in clinic/20261130; or the "
    "folder of a run.",
    show_default=False,
)
WorkspaceFolder = Annotated[
    Path,
    typer.Option(
        "--workspace",
        "-w",
        envvar=VARIABLE,
        help="Folder of all results.",
        callback=check_workspace,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Wide = Annotated[bool, typer.Option("--wide", help="Show all columns of the table of results.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change the recipe for this run, as in steps.pupil.with.epochs=3; can be repeated.",
        show_default=False,
    ),
]
DataPath = Annotated[
    Path, typer.Argument(help="Class-per-folder tree or CSV manifest.", show_default=False)
]


def _task_name(task: str | None) -> str | None:
    """Return the name of a task as its descriptor has it."""
    from pupila.plugin import Task
    from pupila_flows.recipe.plugin_name import plugin_name

    return plugin_name(Task)(task) if task else task


LearnedTask = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="What models have learned (see `pupila plugins`); by default classes.",
        callback=_task_name,
    ),
]
PixelScaling = Annotated[
    Preprocess | None,
    typer.Option(
        "--preprocess", help="What is done with pixels outside a model file; it is built in."
    ),
]
HERE = Path(DEFAULT)
Keep = Annotated[
    str, typer.Option(help="What was used since stays, as in 12h, 30d or 8w.", metavar="TIME")
]
_SECONDS = {"h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def parse_duration(text: str) -> float:
    """Return a duration like `30d` in seconds.

    Raises:
        PupilaError: the text is invalid.
    """
    match = re.fullmatch(r"(\d{1,6})([hdw])", text, flags=re.ASCII)
    if not match:
        raise PupilaError(
            f"--keep is {text!r}: give a number and h, d or w for hours, days or weeks, as in 30d."
        )
    return int(match[1]) * _SECONDS[match[2]]
