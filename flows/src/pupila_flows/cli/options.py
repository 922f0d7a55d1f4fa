"""Options that many commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pupila_flows.workspace import DEFAULT

RecipeFile = Annotated[Path, typer.Argument(help="Recipe, a YAML file.", show_default=False)]
WorkspaceFolder = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="PUPILA_WORKSPACE", help="Folder of all results."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
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
HERE = Path(DEFAULT)
