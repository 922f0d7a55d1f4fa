"""The flow: data → checks → teachers → the graph of steps → evaluation → report → registry.

Each stage runs as Prefect tasks; the work itself is done in child processes, see
`execution.session`.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prefect import flow, get_run_logger
from prefect.futures import as_completed
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner

from pupila.errors import PupilaError
from pupila.intervals import members_of
from pupila.store import write_atomically
from pupila_flows import machine
from pupila_flows.data.synthetic import is_synthetic
from pupila_flows.execution.session import session
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.jobs.report import DrawReport, report_digest
from pupila_flows.jobs.run_step import RunStep
from pupila_flows.plan.expand import Node, expand, points
from pupila_flows.plan.form import changes_of_form
from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.progress import current_display
from pupila_flows.recipe.overrides import Changes
from pupila_flows.results import RunResult
from pupila_flows.run.context import Run
from pupila_flows.run.evaluate import check_runtimes, evaluate_all
from pupila_flows.run.external import (
    describe,
    evaluate_external,
    external_failures,
    external_images,
    refuse_training_images,
)
from pupila_flows.run.gate import gate_failures, log_reach, run_gate
from pupila_flows.run.incumbents import check_anchor
from pupila_flows.run.links import link_artifacts
from pupila_flows.run.pages import make_pages
from pupila_flows.run.prefect_artifacts import show_results, show_verdict
from pupila_flows.run.prefect_tasks import (
    Futures,
    States,
    keep_log_short,
    reason_of,
    result_of,
    run_job,
    submit_job,
)
from pupila_flows.run.prepare import (
    add_hard_negatives,
    check_data,
    read_dataset,
    read_open_set,
    screen,
)
from pupila_flows.run.prove import prove_teachers
from pupila_flows.run.publish import publish_run
from pupila_flows.run.questions import truths_of
from pupila_flows.run.run_name import name_run
from pupila_flows.run.shift import evaluate_shifts
from pupila_flows.run.verdicts import emit_change
from pupila_flows.stopping import reinstall
from pupila_flows.teachers import TeacherStore
from pupila_flows.workspace import DEFAULT, Workspace

_WHOLE = "all steps"
"""Title of the progress of the whole graph."""


class RunFailed(RuntimeError):
    """Raised if a part of a run failed; all other results are in the file `result`.

    The message is one line, which Prefect shows and sends; the log and the result have details.
    """

    def __init__(self, result: Path, failures: list[str]) -> None:
        self.result = result
        super().__init__("; ".join(failure.strip().partition("\n")[0] for failure in failures))


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
    return _run(plan, expand(plan), opened)


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
    if not plan.recipe.sweep:
        example = "sweep: {pupil.alpha: [0, 0.1, 0.5]}"
        raise PupilaError(
            f"{recipe!r} names no values to try: give it a section like `{example}`, "
            "or use `pupila run`."
        )
    return _run(plan, expand(plan, points(plan)), opened, swept=True)


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
    started, clock = datetime.now(UTC), time.monotonic()
    recipe = plan.recipe
    workspace.store.collect_garbage()
    if warning := workspace.nearly_full:
        get_run_logger().warning(warning)
    with session(
        workspace, recipe.workers, plan.address, plan.reads, recipe.threads, plan.tls
    ) as current:
        # checks and screening see the user's images, not those made from them
        as_given = Run(plan, workspace, read_dataset(plan, workspace), nodes)
        if not swept:
            check_anchor(as_given)
            log_reach(plan)
        run, data = add_hard_negatives(as_given, check_data(as_given))
        run = replace(run, open_set=read_open_set(run), external=external_images(as_given))
        teachers = _import_teachers(run)
        refuse_training_images(run, teachers)
        data = screen(as_given, data, teachers)
        run = replace(run, proven=prove_teachers(as_given, teachers))
        made = _make_all(run, teachers)
        entries = make_pages(run, evaluate_all(run, made, only_last=swept), made)
        entries, failed_shifts = evaluate_shifts(run, check_runtimes(run, entries), gated=not swept)
        entries = evaluate_external(run, entries)
        gate = None if swept else run_gate(run, entries)
        test = run.dataset.select("test")
        result = RunResult(
            name=plan.recipe.name,
            recipe_path=str(plan.file),
            recipe_text=plan.text,
            seed=plan.recipe.seed,
            synthetic=is_synthetic(plan.data),
            started=started.isoformat(timespec="seconds"),
            seconds=time.monotonic() - clock,
            data=data,
            entries=tuple(entries),
            external=tuple(describe(images) for images in run.external),
            sweep=plan.recipe.sweep if swept else {},
            choose_by=plan.recipe.choose_by,
            specificity=plan.recipe.evaluate.specificity,
            gate=gate,
            machine=machine.describe(),
            versions=machine.versions(),
            test_images=tuple(map(str, test.paths)),
            test_labels=tuple(test.strata.tolist()),
            test_truths=_without_nan(truths_of(test)),
            test_patients=_patient_numbers(test.patients),
        )
        path = _save(run, result, started)
        failures = [f"{entry.name}: {entry.error}" for entry in entries if entry.error]
        failures += [*failed_shifts, *external_failures(entries), *gate_failures(gate)]
        failures += _report(workspace, result, path)
        if not swept:
            result, unpublished = publish_run(run, result, path)
            failures += unpublished
            emit_change(result, path)
        show_verdict(workspace, result, path)
        jobs = workspace.jobs_of(path.parent)
        write_atomically(jobs, json.dumps(sorted(current.keys)).encode())
    return _end(result, path, failures)


def _without_nan(
    truths: tuple[tuple[float, ...], ...] | None,
) -> tuple[tuple[float | None, ...], ...] | None:
    """Return truths with None for NaN, which JSON does not have."""
    if truths is None:
        return None
    return tuple(tuple(None if math.isnan(value) else value for value in row) for row in truths)


def _patient_numbers(patients: NDArray[np.str_] | None) -> tuple[int, ...]:
    return () if patients is None else tuple(members_of(patients).tolist())


def _end(result: RunResult, path: Path, failures: list[str]) -> str:
    """End a run as completed, withheld or failed, and return the path of its result."""
    for failure in failures:
        get_run_logger().error(failure)
    if failures:
        raise RunFailed(path, failures)
    if result.withheld is None:
        return str(path)
    state: Any = Completed(name="Withheld", message=result.withheld, data=str(path))
    return state  # Prefect returns its data to the caller of the flow


def _import_teachers(run: Run) -> Futures:
    """Start importing the teachers."""
    return {
        teacher.name: submit_job(ImportTeacher.of(run.workspace, teacher))
        for teacher in run.plan.teachers
    }


def _make_all(run: Run, teachers: Futures) -> States:
    """Run the steps, branches in parallel; a failure stops only the steps that depend on it."""
    futures = dict(teachers)
    for node in run.nodes:
        if node.shows_metrics:
            continue
        unproven = any(teacher in run.plan.unproven for teacher in node.teachers)
        job = RunStep.of(run.workspace, node, run.dataset, unproven=unproven)
        inputs = [futures[name] for name in node.inputs]
        futures[node.name] = submit_job(job, inputs, node.retries)
    shown = current_display.get()
    for done, future in enumerate(as_completed(list(futures.values())), start=1):
        future.wait()  # keeps the state in the future, so that no server has to be asked for it
        shown.update(_WHOLE, done, len(futures), f"{done} of {len(futures)} made")
    shown.finish(_WHOLE, "[green]made[/]")
    return {name: future.state for name, future in futures.items()}


def _save(run: Run, result: RunResult, started: datetime) -> Path:
    """Write `result.json` into a new folder of the workspace, and show the results in Prefect."""
    path = run.workspace.new_run(result.name, started) / "result.json"
    write_atomically(path, result.model_dump_json(indent=2).encode())
    link_artifacts(run.workspace, result, path.parent)
    show_results(result)
    return path


def _report(workspace: Workspace, result: RunResult, path: Path) -> list[str]:
    """Draw the report beside a result, and return what failed; an unchanged report is reused."""
    state = run_job(DrawReport.of(workspace, path, report_digest(result), result.data.task))
    if not state.is_completed():
        return [f"report: {reason_of(state)}"]
    report = result_of(state).value.report
    for page in (report, *report.parent.glob("sweep.*")):
        link = path.with_name(page.name)
        if not link.exists():
            link.symlink_to(page)
    return []
