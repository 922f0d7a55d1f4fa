"""The Prefect flows: `compress` runs a recipe, `sweep` runs it with every combination of values.

`run.stages` says what a run does; here is what Prefect adds.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner

from pupila.store import write_atomically
from pupila_flows.execution.session import session
from pupila_flows.plan.expand import Node, nodes_of
from pupila_flows.plan.form import changes_of_form
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.overrides import Changes
from pupila_flows.results import RunResult
from pupila_flows.run.gate import gate_failures
from pupila_flows.run.prefect_tasks import PrefectTasks, keep_log_short
from pupila_flows.run.run_name import name_run
from pupila_flows.run.stages import RunFailed, find_result, finish
from pupila_flows.stopping import reinstall
from pupila_flows.teachers import TeacherStore
from pupila_flows.workspace import DEFAULT, Workspace

_THREADS: Any = ThreadPoolTaskRunner(max_workers=64)  # pyright: ignore[reportUnknownVariableType]
"""Threads only wait for child processes; the recipe's `workers` limits how many processes run."""
_AS_WRITTEN = Changes()


@flow(name="compress", task_runner=_THREADS)
def compress(recipe: str, workspace: str = DEFAULT, changes: Changes = _AS_WRITTEN) -> str:
    """Run a recipe: make, evaluate and report its models; return the path of `result.json`.

    If nothing failed, but the models may not be published, the run ends as *Withheld*.

    Args:
        recipe: Path of the recipe file.
        workspace: Folder for artifacts, caches, logs and reports.
        changes: Settings of this run that replace those of the recipe.

    Raises:
        PupilaError: the recipe or the data is invalid; nothing was trained.
        RunFailed: a step, an evaluation or the report failed, or an artifact failed the gate;
            everything else is kept.
    """
    opened = Workspace.at(workspace)
    plan = _read_plan(recipe, opened, changes)
    return _run(plan, nodes_of(plan), opened)


@flow(name="sweep", task_runner=_THREADS)
def sweep(recipe: str, workspace: str = DEFAULT, changes: Changes = _AS_WRITTEN) -> str:
    """Run a recipe with every combination of the values in its `sweep`; see `compress`.

    Only the last model of each branch and its control are evaluated. Teachers, and steps that no
    value affects, run once. Results of earlier runs and sweeps are reused.

    Args:
        recipe: Path of the recipe file.
        workspace: Folder for artifacts, caches, logs and reports.
        changes: Settings of this run that replace those of the recipe.
    """
    opened = Workspace.at(workspace)
    plan = _read_plan(recipe, opened, changes)
    return _run(plan, nodes_of(plan, swept=True), opened, swept=True)


def _read_plan(recipe: str, workspace: Workspace, changes: Changes) -> Plan:
    store = TeacherStore.of(workspace.root)
    read = partial(read_plan, Path(recipe), teacher_store=store, cache=workspace.cache)
    if changes.by_name:
        changes = changes_of_form(read(), changes)
    plan = read(changes=changes)
    name_run(plan)
    return plan


def _run(plan: Plan, nodes: tuple[Node, ...], workspace: Workspace, *, swept: bool = False) -> str:
    reinstall()  # Prefect has taken SIGTERM
    keep_log_short()
    recipe = plan.recipe
    workspace.store.collect_garbage()
    for warning in (workspace.nearly_full, *map(str, plan.warnings)):
        if warning:
            get_run_logger().warning(warning)
    with session(
        workspace, recipe.workers, plan.address, plan.reads, recipe.threads, plan.tls
    ) as current:
        unwritten = find_result(plan, nodes, workspace, PrefectTasks(), swept=swept)
        result, path, broken = finish(unwritten)
        jobs = workspace.jobs_of(path.parent)
        write_atomically(jobs, json.dumps(sorted(current.keys)).encode())
    return _end(result, path, broken)


def _end(result: RunResult, path: Path, broken: list[str]) -> str:
    """End a run as completed, withheld or failed, and return the path of its result."""
    refused = gate_failures(result.gate)
    for failure in (*broken, *refused):
        get_run_logger().error(failure)
    if broken or refused:
        raise RunFailed(path, broken, refused)
    if result.withheld is None:
        return str(path)
    state: Any = Completed(name="Withheld", message=result.withheld, data=str(path))
    return state  # Prefect returns its data to the caller of the flow
