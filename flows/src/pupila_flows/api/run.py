"""Runs a recipe, as `pupila run` and `pupila sweep` do."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pupila.errors import PupilaError
from pupila.plugin_registry import installed
from pupila_flows.api.process import run_in_process
from pupila_flows.api.progress import display_progress
from pupila_flows.api.recipe import (
    Recipe,
    as_yaml,
    with_absolute_paths,
    without_file,
    write_recipe,
)
from pupila_flows.api.result import Result, RunFailed
from pupila_flows.api.workspace import PathLike, open_workspace
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reach import reach_of_plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.overrides import Changes, changes_of
from pupila_flows.recipe.publish import NO_GATE
from pupila_flows.recipe.source import read_source
from pupila_flows.teachers import TeacherStore
from pupila_flows.workspace import Workspace


def run(
    recipe: Recipe | PathLike,
    *,
    changes: Mapping[str, Any] | None = None,
    sweep: bool = False,
    workspace: PathLike | None = None,
) -> Result:
    """Run a recipe: check the data, make, evaluate and report every model.

    What has not changed since an earlier run in the workspace is not done again. A verdict of the
    gate is a result, not an error: see `Result.verdict`.

    Args:
        recipe: A recipe, or the path of its file.
        changes: Settings of this run that replace the recipe's, by name, as in
            `{"steps.pupil.with.epochs": 3}`. Relative paths are taken from where the recipe's are.
        sweep: Whether to run every combination of the values in the recipe's `sweep`.
        workspace: Folder of all results; by default what `PUPILA_WORKSPACE` names, else `.pupila`.

    Raises:
        PupilaError: the recipe or the data is invalid; nothing was trained.
        RunFailed: a part of the run failed; the exception has the result of everything else.
        RuntimeError: the process of the run crashed; the message names its log.
    """
    opened = open_workspace(workspace)
    if isinstance(recipe, Recipe):
        file = write_recipe(recipe, opened)
        with without_file():
            made = with_absolute_paths(_changes(changes, file), recipe)
            plan = _plan(file, made, opened)
    else:
        file = Path(recipe)
        made = _changes(changes, file)
        plan = _plan(file, made, opened)
    in_code = isinstance(recipe, Recipe)
    for text in _warnings(plan, opened, sweep=sweep, in_code=in_code):
        warnings.warn(text, stacklevel=2)
    with display_progress():
        done = run_in_process(file, made, opened, sweeps=sweep)
    result = Result.read(done.path.parent)
    if done.broken:
        raise RunFailed(result, done.broken)
    return result


def _changes(changes: Mapping[str, Any] | None, file: Path) -> Changes:
    """Return the changes of a run as settings of the recipe in a file.

    Raises:
        PupilaError: a change is none, or not valid in the recipe.
    """
    given = as_yaml(changes or {}, "the changes")
    for name, value in given.items():
        if value is None:
            raise PupilaError(
                f"The change of {name!r} is None, which changes nothing: give a value, or leave "
                f"the change out."
            )
    return changes_of(given.items(), read_source(file)) if given else Changes()


def _plan(file: Path, changes: Changes, workspace: Workspace) -> Plan:
    """Check a recipe before anything is started."""
    store = TeacherStore.of(workspace.root)
    return read_plan(file, changes=changes, teacher_store=store, cache=workspace.cache)


def _warnings(plan: Plan, workspace: Workspace, *, sweep: bool, in_code: bool) -> Iterator[str]:
    """Yield what the command line warns of before a run; a recipe in code has no lines to name."""
    if workspace.nearly_full:
        yield workspace.nearly_full
    yield from map(str, installed().broken)
    if plan.recipe.publish and not plan.recipe.gate:
        yield NO_GATE
    yield from (warning.message if in_code else str(warning) for warning in plan.warnings)
    reach = None if sweep else reach_of_plan(plan)
    if reach is not None:
        yield from reach.warnings
