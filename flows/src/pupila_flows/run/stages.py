"""The stages of a run: data → checks → teachers → the graph of steps → evaluation → gate → report.

An orchestrator does the jobs of each stage; no stage imports Prefect. `find_result` writes nothing
but what the jobs remember; `finish` writes the run into the workspace.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.intervals import members_of
from pupila.store import write_atomically
from pupila_flows import machine
from pupila_flows.data.synthetic import is_synthetic
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.jobs.report import DrawReport, report_digest
from pupila_flows.jobs.run_step import RunStep
from pupila_flows.plan.expand import Node
from pupila_flows.plan.plan import Plan
from pupila_flows.progress import WHOLE, current_display
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
from pupila_flows.run.gate import log_reach, run_gate
from pupila_flows.run.incumbents import check_anchor
from pupila_flows.run.links import link_artifacts
from pupila_flows.run.orchestrator import Orchestrator, Outcomes, PendingArtifacts
from pupila_flows.run.pages import make_pages
from pupila_flows.run.prefect_artifacts import show_results, show_verdict
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
from pupila_flows.run.shift import evaluate_shifts
from pupila_flows.run.verdicts import emit_change
from pupila_flows.workspace import Workspace


class RunFailed(RuntimeError):
    """Raised if a part of a run failed; all other results are in the file `result`.

    The message is one line, which Prefect shows and sends; the log and the result have details.
    `broken` has the failures of everything but the gate, which only refuses to publish.
    """

    def __init__(self, result: Path, broken: Sequence[str], refused: Sequence[str] = ()) -> None:
        self.result, self.broken = result, tuple(broken)
        failures = (*broken, *refused)
        super().__init__("; ".join(failure.strip().partition("\n")[0] for failure in failures))


@dataclass(frozen=True)
class UnwrittenRun:
    """The result of a run that is not yet in the workspace, and what failed, except the gate."""

    run: Run
    result: RunResult
    broken: tuple[str, ...]


def find_result(
    plan: Plan,
    nodes: tuple[Node, ...],
    workspace: Workspace,
    orchestrator: Orchestrator,
    *,
    swept: bool = False,
) -> UnwrittenRun:
    """Have all jobs of a run done, except its report and its publication; a sweep has no gate.

    Raises:
        PupilaError: the data or a teacher is refused; nothing was trained.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    # checks and screening see the user's images, not those made from them
    dataset = read_dataset(plan, workspace, orchestrator)
    as_given = Run(plan, workspace, dataset, nodes, orchestrator)
    if not swept:
        check_anchor(as_given)
        log_reach(as_given)
    run, data = add_hard_negatives(as_given, check_data(as_given))
    run = replace(run, open_set=read_open_set(run), external=external_images(as_given))
    teachers = _import_teachers(run)
    _check_imported(run, teachers)
    refuse_training_images(run, teachers)
    data = screen(as_given, data, teachers)
    run = replace(run, proven=prove_teachers(as_given, teachers))
    made = _make_all(run, teachers)
    entries = make_pages(run, evaluate_all(run, made, only_last=swept), made)
    entries, failed_shifts = evaluate_shifts(run, check_runtimes(run, entries), gated=not swept)
    entries = evaluate_external(run, entries)
    gate = None if swept else run_gate(run, entries)
    test = run.dataset.select("test")
    recipe = plan.recipe
    result = RunResult(
        name=recipe.name,
        recipe_path=str(plan.file),
        recipe_text=plan.text,
        seed=recipe.seed,
        synthetic=is_synthetic(plan.data),
        started=started.isoformat(timespec="seconds"),
        seconds=time.monotonic() - clock,
        data=data,
        entries=tuple(entries),
        external=tuple(describe(images) for images in run.external),
        sweep=recipe.sweep if swept else {},
        choose_by=recipe.choose_by,
        specificity=recipe.evaluate.specificity,
        gate=gate,
        machine=machine.describe(),
        versions=machine.versions(),
        test_images=tuple(map(str, test.paths)),
        test_labels=tuple(test.strata.tolist()),
        test_truths=_without_nan(truths_of(test)),
        test_patients=_patient_numbers(test.patients),
    )
    broken = [f"{entry.name}: {entry.error}" for entry in entries if entry.error]
    return UnwrittenRun(run, result, (*broken, *failed_shifts, *external_failures(entries)))


def finish(unwritten: UnwrittenRun) -> tuple[RunResult, Path, list[str]]:
    """Write a run into the workspace, draw its report, publish it, and show it in Prefect.

    Return the result, with its publication; the path of its `result.json`; and what failed, except
    the gate.
    """
    run, result = unwritten.run, unwritten.result
    path = _save(run, result)
    broken = [*unwritten.broken, *_report(run, result, path)]
    if not result.sweep:
        result, unpublished = publish_run(run, result, path)
        broken += unpublished
        emit_change(run.orchestrator, result, path)
    show_verdict(run, result, path)
    return result, path, broken


def _without_nan(
    truths: tuple[tuple[float, ...], ...] | None,
) -> tuple[tuple[float | None, ...], ...] | None:
    """Return truths with None for NaN, which JSON does not have."""
    if truths is None:
        return None
    return tuple(tuple(None if math.isnan(value) else value for value in row) for row in truths)


def _patient_numbers(patients: NDArray[np.str_] | None) -> tuple[int, ...]:
    return () if patients is None else tuple(members_of(patients).tolist())


def _import_teachers(run: Run) -> PendingArtifacts:
    """Start importing the teachers."""
    return {
        teacher.name: run.orchestrator.submit(ImportTeacher.of(run.workspace, teacher))
        for teacher in run.plan.teachers
    }


def _check_imported(run: Run, teachers: PendingArtifacts) -> None:
    """Check that every teacher of a step could be read.

    Raises:
        PupilaError: the file of a teacher is refused; nothing was trained.
    """
    used = {name for node in run.nodes for name in (*node.inputs, *node.teachers)}
    outcomes = {name: teacher.wait() for name, teacher in teachers.items() if name in used}
    refused = [
        f"Teacher {name!r} cannot be read: {outcome.reason}"
        for name, outcome in outcomes.items()
        if outcome.refused
    ]
    if refused:
        raise PupilaError("\n".join([*refused, "Nothing was trained."]))


def _make_all(run: Run, teachers: PendingArtifacts) -> Outcomes:
    """Run the steps, branches in parallel; a failure stops only the steps that depend on it."""
    submitted = dict(teachers)
    for node in run.nodes:
        if node.shows_metrics:
            continue
        unproven = any(teacher in run.plan.unproven for teacher in node.teachers)
        job = RunStep.of(run.workspace, node, run.dataset, unproven=unproven)
        inputs = [submitted[name] for name in node.inputs]
        submitted[node.name] = run.orchestrator.submit(job, inputs, node.retries)
    shown, total = current_display.get(), len(submitted)
    for done, _ in enumerate(run.orchestrator.as_ended(submitted.values()), start=1):
        shown.update(WHOLE, done, total, f"{done} of {total} made")
    shown.finish(WHOLE, "[green]made[/]")
    return {name: step.wait() for name, step in submitted.items()}


def _save(run: Run, result: RunResult) -> Path:
    """Write `result.json` into a new folder of the workspace, and show the results in Prefect."""
    started = datetime.fromisoformat(result.started)
    path = run.workspace.new_run(result.name, started) / "result.json"
    write_atomically(path, result.model_dump_json(indent=2).encode())
    link_artifacts(run.workspace, result, path.parent)
    show_results(run.orchestrator, result)
    return path


def _report(run: Run, result: RunResult, path: Path) -> list[str]:
    """Draw the report beside a result, and return what failed; an unchanged report is copied."""
    job = DrawReport.of(run.workspace, path, report_digest(result), result.data.task)
    outcome = run.orchestrator.do(job)
    if not outcome.made:
        return [f"report: {outcome.reason}"]
    report = outcome.result.value.report
    for page in (report, *report.parent.glob("sweep.*")):
        copy = path.with_name(page.name)
        if not copy.exists():  # a link would break when the earlier run is removed
            write_atomically(copy, page.read_bytes())
    return []
