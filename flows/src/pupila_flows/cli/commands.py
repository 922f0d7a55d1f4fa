"""Pupila's own commands, which come in by the same hook as those of other packages."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.hookspecs import hookimpl
from pupila.plugin import Command

_COMMANDS = {
    "demo": ("main:demo", "Compress a teacher from start to end."),
    "check": ("main:check", "Find every mistake in a recipe, without running anything."),
    "run": ("main:run", "Run a recipe: check the data, make, evaluate and report every model."),
    "sweep": (
        "main:sweep",
        "Run a recipe with every combination of the values in its `sweep`, and compare them.",
    ),
    "validate": ("main:validate", "Check a dataset as a run would, and build its Data Docs."),
    "evaluate": (
        "evaluate:evaluate",
        "Evaluate models on images, each in its own runtime, and compare them with a teacher.",
    ),
    "crop": (
        "crop:crop",
        "Crop images around what a locator finds, and write a manifest of the crops.",
    ),
    "runs": (
        "runs:list_runs",
        "List the runs of a workspace, the latest first, with their verdicts.",
    ),
    "open": (
        "runs:open_report",
        "Open the report of a run in the browser, by default that of the latest run.",
    ),
    "compare": (
        "runs:compare",
        "Compare two runs: settings, sizes and figures, with paired intervals on the same images.",
    ),
    "export": ("runs:export", "Copy the model of a step out of a run, with its card."),
    "report": ("main:report", "Redraw the report of a past run, and print its path."),
    "serve": (
        "main:serve",
        "Serve a site to this machine, with the headers from its `_headers`, until Ctrl-C.",
    ),
    "publish": (
        "registry:publish",
        "Publish a past run that passed its gate, or any other run with --override, --by, "
        "--reason.",
    ),
    "history": (
        "registry:history",
        "List what was published and rolled back, by whom and why; the last line is current.",
    ),
    "rollback": ("registry:rollback", "Make an older version current again; nothing is deleted."),
    "diff": (
        "registry:diff",
        "Show what changed between two versions: recipe, teachers, data, figures, verdicts.",
    ),
    "verify": (
        "registry:verify",
        "Check offline that files are as published, and the chain from the teachers is complete.",
    ),
    "teacher": (
        "teacher:app",
        "Keep trained teachers by name, so that recipes get the latest: `path: teacher:NAME`.",
    ),
    "station": (
        "station:app",
        "Run recipes by schedule, by hand from the Prefect UI, and when a teacher is retrained.",
    ),
    "plugins": (
        "plugins:plugins",
        "List what is installed, or check that it keeps what Pupila relies on (--check).",
    ),
    "new": (
        "new.plugin:app",
        "Write files to begin with: a package of plugins of your own.",
    ),
    "du": ("du:show", "Show what takes room in a workspace, and what may be deleted."),
    "gc": (
        "gc:collect",
        "Remove what no registry, teacher or recent run needs; refused during a run.",
    ),
}
"""Location in this package and summary of each command, in the order of `pupila --help`."""


@hookimpl
def pupila_commands() -> Iterator[Command]:
    """Yield the commands of the program itself."""
    for name, (location, summary) in _COMMANDS.items():
        implementation = f"{__package__}.{location}"
        yield Command(name=name, summary=summary, implementation=implementation)
