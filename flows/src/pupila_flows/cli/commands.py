"""Pupila's own commands, which come in by the same hook as those of other packages."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.hookspecs import hookimpl
from pupila.plugin import Command

_START, _RUN, _RESULTS = "Start", "Run", "Results"
_PUBLISH, _OPERATE = "Publish", "Operate"

_COMMANDS = (
    (_START, "demo", "main:demo", "Compress a teacher from start to end.", ""),
    (
        _START,
        "init",
        "init:init",
        "Look at images and a model, and write a commented recipe, and a split if there is none.",
        "photographs teacher.keras clinic --patient '^(P[0-9]+)_'",
    ),
    (
        _START,
        "validate",
        "main:validate",
        "Check a dataset as a run would, and build its Data Docs.",
        "images.csv --positive glaucoma",
    ),
    (
        _START,
        "check",
        "main:check",
        "Find every mistake in a recipe, without running anything.",
        "recipe.yaml",
    ),
    (
        _RUN,
        "run",
        "main:run",
        "Run a recipe: check the data, make, evaluate and report every model.",
        "recipe.yaml --set steps.pupil.with.epochs=3",
    ),
    (
        _RUN,
        "sweep",
        "main:sweep",
        "Run a recipe with every combination of the values in its `sweep`, and compare them.",
        "recipe.yaml",
    ),
    (
        _RUN,
        "evaluate",
        "evaluate:evaluate",
        "Evaluate models on images, each in its own runtime, and compare them with a teacher.",
        "model.tflite images.csv --against teacher.keras --classes glaucoma,normal",
    ),
    (
        _RUN,
        "crop",
        "crop:crop",
        "Crop images around what a locator finds, and write a manifest of the crops.",
        "images.csv crops --with .pupila/runs/localization/latest/int8",
    ),
    (
        _RESULTS,
        "runs",
        "runs:list_runs",
        "List the runs of a workspace, the latest first, with their verdicts.",
        "clinic",
    ),
    (
        _RESULTS,
        "open",
        "runs:open_report",
        "Open the report of a run in the browser, by default that of the latest run.",
        "clinic",
    ),
    (
        _RESULTS,
        "compare",
        "runs:compare",
        "Compare two runs: settings, sizes and figures, with paired intervals on the same images.",
        "clinic/20261129 clinic",
    ),
    (
        _RESULTS,
        "export",
        "runs:export",
        "Copy the model of a step out of a run, with its card.",
        "clinic int8 models/clinic",
    ),
    (
        _RESULTS,
        "report",
        "main:report",
        "Redraw the report of a past run, and print its path.",
        "clinic",
    ),
    (
        _RESULTS,
        "serve",
        "main:serve",
        "Serve a site to this machine, with the headers from its `_headers`, until Ctrl-C.",
        ".pupila/runs/clinic/latest/page",
    ),
    (
        _PUBLISH,
        "publish",
        "registry:publish",
        "Publish a past run that passed its gate, or any other run with --override, --by, "
        "--reason.",
        "clinic",
    ),
    (
        _PUBLISH,
        "history",
        "registry:history",
        "List what was published and rolled back, by whom and why; the last line is current.",
        "clinic",
    ),
    (
        _PUBLISH,
        "rollback",
        "registry:rollback",
        "Make an older version current again; nothing is deleted.",
        "clinic --reason 'too many false alarms'",
    ),
    (
        _PUBLISH,
        "diff",
        "registry:diff",
        "Show what changed between two versions: recipe, teachers, data, figures, verdicts.",
        "clinic 1 2",
    ),
    (
        _PUBLISH,
        "verify",
        "registry:verify",
        "Check offline that files are as published, and the chain from the teachers is complete.",
        "clinic --version 2",
    ),
    (
        _OPERATE,
        "teacher",
        "teacher:app",
        "Keep trained teachers by name, so that recipes get the latest: `path: teacher:NAME`.",
        "add teacher.keras --name big --classes glaucoma,normal",
    ),
    (
        _OPERATE,
        "station",
        "station:app",
        "Run recipes by schedule, by hand from the Prefect UI, and when a teacher is retrained.",
        "up --recipe recipe.yaml",
    ),
    (
        _OPERATE,
        "plugins",
        "plugins:plugins",
        "List what is installed, or check that it keeps what Pupila relies on (--check).",
        "--check",
    ),
    (
        _OPERATE,
        "new",
        "new.plugin:app",
        "Write files to begin with: a package of plugins of your own.",
        "plugin gentle-pruning --kind technique,metric",
    ),
    (
        _OPERATE,
        "du",
        "du:show",
        "Show what takes room in a workspace, and what may be deleted.",
        "",
    ),
    (
        _OPERATE,
        "gc",
        "gc:collect",
        "Remove what no registry, teacher or recent run needs; refused during a run.",
        "--dry-run",
    ),
)
"""Panel, name, location in this package, summary and example of each command, as in the help."""


@hookimpl
def pupila_commands() -> Iterator[Command]:
    """Yield the commands of the program itself."""
    for panel, name, location, summary, arguments in _COMMANDS:
        yield Command(
            name=name,
            summary=summary,
            implementation=f"{__package__}.{location}",
            panel=panel,
            example=f"pupila {name} {arguments}".strip(),
        )
