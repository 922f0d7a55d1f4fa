"""The command line. Heavy imports are inside the commands, so that `pupila --help` is fast."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pupila.errors import PupilaError
from pupila_flows.cli import du, registry
from pupila_flows.cli.console import (
    explain_failure,
    say,
    say_if_synthetic,
    warn_of_broken_plugins,
    working,
)
from pupila_flows.cli.group import CommandGroup
from pupila_flows.cli.options import (
    HERE,
    AsJson,
    DataPath,
    LearnedTask,
    PastRun,
    RecipeFile,
    Settings,
    Wide,
    WorkspaceFolder,
)
from pupila_flows.cli.results import print_checks, print_result
from pupila_flows.stopping import say_when_stopped

if TYPE_CHECKING:
    from pupila_flows.plan.plan import Plan
    from pupila_flows.recipe.overrides import Changes

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Turn large image classifiers into small ones, and prove that they are good enough.",
)


def _print_version(asked: bool) -> None:
    if asked:
        say(f"pupila {version('pupila-flows')}, Python {platform.python_version()}")
        raise typer.Exit


@app.callback()
def _group(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version, and exit."
        ),
    ] = False,
) -> None:
    """Take no other options: the commands come from plugins (`cli.commands` has Pupila's)."""


def main() -> None:
    """Run the command line; on a user's mistake, print one message and exit with code 2.

    If the code of a plugin fails, the message names the plugin and a file with the traceback, and
    the exit code is 1.
    """
    try:
        app()
    except PupilaError as error:
        say(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        failed = explain_failure(error)
        if failed is None:
            raise
        say(f"error: {failed}", file=sys.stderr)
        sys.exit(1)


def demo(workspace: WorkspaceFolder = HERE, as_json: AsJson = False) -> None:
    """Compress a teacher from start to end.

    Real images and teachers are taken from PUPILA_DATA and PUPILA_TEACHERS if both are set;
    otherwise synthetic images are made, and a small teacher is trained on them.
    """
    from pupila_flows.cli import demo
    from pupila_flows.workspace import Workspace

    opened = Workspace.at(workspace)
    with working(as_json), opened.writing():
        recipe = demo.prepare(opened)
    try:
        _run(recipe, opened.root, as_json)
    except SystemExit as ended:
        if not ended.code and not as_json:
            say("Next, with images and a model of your own: pupila init IMAGES MODEL")
        raise


def check(
    recipe: RecipeFile,
    settings: Settings = None,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Find every mistake in a recipe, without running anything."""
    from pupila.plugin import CLASSIFICATION
    from pupila_flows.plan.reading import read_plan
    from pupila_flows.recipe.source import RecipeError
    from pupila_flows.teachers import TeacherStore
    from pupila_flows.workspace import Workspace

    try:
        changes = _changes(recipe, settings)
        plan = read_plan(
            recipe,
            changes=changes,
            teacher_store=TeacherStore.of(workspace.resolve()),
            cache=Workspace(workspace.resolve()).cache,
        )
    except RecipeError as error:
        if not as_json:
            raise
        problems = [
            {"line": problem.line, "message": problem.message} for problem in error.problems
        ]
        print(json.dumps({"valid": False, "problems": problems}))
        sys.exit(2)
    steps, task = [step.name for step in plan.steps], plan.recipe.data.task
    if as_json:
        asked = plan.recipe.gate.model_dump(mode="json") if plan.recipe.gate else None
        reach = _reach_of(plan)
        warned = [{"line": warning.line, "message": warning.message} for warning in plan.warnings]
        answer = {"steps": steps, "task": task, "gate": reach, "gate_asks": asked}
        answer |= {"warnings": warned}
        print(json.dumps({"valid": True} | answer))
    else:
        warn_of_broken_plugins()
        registry.warn_without_gate(plan)
        _warn_of_steps(plan)
        _print_gate_of(plan)
        learned = "" if task == CLASSIFICATION else f" for {task}"
        say(f"{recipe} is valid{learned}; it would run: {', '.join(steps)}")


def run(
    recipe: RecipeFile,
    settings: Settings = None,
    wide: Wide = False,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Run a recipe: check the data, make, evaluate and report every model."""
    _run(recipe, workspace, as_json, settings, wide=wide)


def sweep(
    recipe: RecipeFile,
    settings: Settings = None,
    wide: Wide = False,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Run a recipe with every combination of the values in its `sweep`, and compare them."""
    _run(recipe, workspace, as_json, settings, sweeps=True, wide=wide)


def validate(
    data: DataPath,
    classes: Annotated[
        str | None, typer.Option(help="Class names, with commas; by default those found.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="Class that counts as positive; by default the first.")
    ] = None,
    task: LearnedTask = None,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Check a dataset as a run would, and build its Data Docs."""
    from pupila.plugin import CLASSIFICATION
    from pupila_flows.plan.reach import reach_of_images
    from pupila_flows.run import single
    from pupila_flows.run.given_models import parse_classes
    from pupila_flows.workspace import Workspace

    opened, learned = Workspace.at(workspace), task or CLASSIFICATION
    with working(as_json), opened.writing():
        names = parse_classes(classes, learned)
        summary = single.validate(opened, data, names, positive, learned)
    if as_json:
        print(summary.model_dump_json())
    else:
        print_checks(summary.checks)
        if summary.counts.get("test"):
            test = {name: summary.counts["test"].get(name, 0) for name in summary.classes}
            say(reach_of_images(test, summary.positive, task=learned))
        say(f"Data Docs: {summary.data_docs}")
        say_if_synthetic(data)
    sys.exit(0 if summary.passed else 1)


def report(
    run: Annotated[str | None, PastRun] = None,
    workspace: WorkspaceFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Redraw the report of a past run, and print its path."""
    from pupila_flows.run import single
    from pupila_flows.workspace import Workspace

    with working(as_json):
        page = single.report(Workspace.at(workspace), run)
    print(json.dumps({"report": str(page)})) if as_json else say(page)


def serve(
    site: Annotated[
        str, typer.Argument(help="Folder of a site, or its digest.", show_default=False)
    ],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")
    ] = 8000,
    workspace: WorkspaceFolder = HERE,
) -> None:
    """Serve a site to this machine, with the headers from its `_headers`, until Ctrl-C."""
    from pupila_flows.cli import serve

    say_when_stopped("stopped; the site is served no longer.")
    serve.serve(serve.find_site(site, workspace), port, say)


def _changes(recipe: Path, settings: list[str] | None) -> Changes:
    """Return the changes of a recipe that `--set` makes."""
    from pupila_flows.recipe.overrides import Changes, parse_changes
    from pupila_flows.recipe.source import read_source

    return parse_changes(settings, read_source(recipe)) if settings else Changes()


def _run(
    recipe: Path,
    workspace: Path,
    as_json: bool,
    settings: list[str] | None = None,
    *,
    sweeps: bool = False,
    wide: bool = False,
) -> None:
    """Run or sweep a recipe, print the result, and exit with code 1 if it failed or is withheld."""
    from pupila_flows.plan.reading import read_plan
    from pupila_flows.results import RunResult
    from pupila_flows.run.data_refused import DataRefused
    from pupila_flows.station.recipe_run import run_recipe
    from pupila_flows.teachers import TeacherStore
    from pupila_flows.workspace import Workspace

    if not as_json and recipe.is_file():
        say(f"{recipe}: starting", file=sys.stderr)
    changes = _changes(recipe, settings)
    opened = Workspace.at(workspace)
    du.warn_if_nearly_full(opened.root)
    # mistakes are reported before Prefect is imported, which takes seconds
    plan = read_plan(
        recipe, changes=changes, teacher_store=TeacherStore.of(opened.root), cache=opened.cache
    )
    warn_of_broken_plugins()
    registry.warn_without_gate(plan)
    _warn_of_steps(plan)
    if not sweeps:
        _print_gate_of(plan)
    with working(as_json):
        try:
            done = run_recipe(recipe, changes, opened, partial(say, file=sys.stderr), sweeps=sweeps)
        except DataRefused as refused:
            say(f"error: {refused}", file=sys.stderr)
            sys.exit(1)
    result = RunResult.model_validate_json(done.path.read_text())
    if as_json:
        print(result.model_dump_json())
    else:
        if done.unchanged:
            say(f"Nothing has changed since the run {done.path.parent}.", file=sys.stderr)
        print_result(result, done.path, wide=wide)
    sys.exit(1 if done.failed or result.withheld else 0)


def _warn_of_steps(plan: Plan) -> None:
    """Print what plugins say of the steps of a recipe, before anything is trained."""
    for warning in plan.warnings:
        say(f"warning: {warning}", file=sys.stderr)


def _reach_of(plan: Plan) -> dict[str, Any] | None:
    """Return as JSON which margins the gate of a recipe can prove."""
    from pupila_flows.plan.reach import reach_of_plan

    reach = reach_of_plan(plan)
    return reach and asdict(reach)


def _print_gate_of(plan: Plan) -> None:
    """Print, before anything is trained, what a recipe's gate requires, and what it can prove."""
    from pupila_flows.plan.reach import reach_of_plan

    if plan.recipe.gate:
        say(f"The gate asks: {plan.recipe.gate.words}.", file=sys.stderr)
    reach = reach_of_plan(plan)
    if reach is not None:
        say(reach.sentence, file=sys.stderr)
        for warning in reach.warnings:
            say(f"warning: {warning}", file=sys.stderr)
