"""Evaluates artifacts in primary runtimes, and checks them in the runtimes of a recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.evaluation import Evaluation
from pupila.plugin import Exporter
from pupila.plugin_registry import installed
from pupila.task import methods_of
from pupila_flows.jobs.check_runtime import CheckRuntime
from pupila_flows.jobs.evaluate import Evaluate
from pupila_flows.report.step_line import step_line
from pupila_flows.results import Entry, RuntimeResult
from pupila_flows.run import runtimes
from pupila_flows.run.context import Run, answers_like
from pupila_flows.run.orchestrator import ArtifactOutcome, Outcomes

_OTHER_ANSWERS = "has other classes or another task: not evaluated"


def evaluate_all(run: Run, outcomes: Outcomes, *, only_last: bool) -> list[Entry]:
    """Evaluate the artifacts of a run, and return an entry for each teacher and node.

    Artifacts are evaluated one at a time, so that other work does not disturb latencies.
    `outcomes` has the outcome of the job that made each artifact. With `only_last`, only teachers,
    controls and the last model of each branch are evaluated. Pages that show the figures, such as a
    site, are made later, so their entries have no results yet.
    """
    models = [node for node in run.nodes if not node.shows_metrics]
    skipped = {name for node in models for name in node.inputs if only_last}
    skipped -= run.plan.recipe.teachers.keys()
    skipped -= {node.control for node in run.nodes if node.name not in skipped}
    skipped |= {node.name for node in run.nodes if not node.plugin.evaluated}
    entries = {entry.name: entry for entry in _entries(run)}
    behind: dict[str, tuple[str, ...]] = {teacher.name: () for teacher in run.plan.teachers}
    behind |= {node.name: node.teachers for node in run.nodes}
    evaluated: dict[str, Entry] = {}
    for name in TopologicalSorter(behind).static_order():  # after what it is compared with
        reference = best_of(behind[name], evaluated)
        entry = entries[name].model_copy(update={"reference": reference})
        if name in outcomes:
            teacher = evaluated.get(reference or "")
            entry = evaluate_entry(
                run, entry, outcomes[name], teacher, evaluate=name not in skipped
            )
        evaluated[name] = entry
    return [evaluated[name] for name in entries]


def best_of(teachers: Sequence[str], evaluated: Mapping[str, Entry]) -> str | None:
    """Return the teacher that a model is compared with: the most accurate on validation images.

    Of equally accurate teachers, the first is returned. A teacher that could not be evaluated
    counts as the best. Otherwise a model might pass only because it is compared with a worse
    teacher. The result is None without teachers.
    """

    def accuracy(name: str) -> float:
        evaluation = evaluated[name].evaluation
        if evaluation is None:
            return math.inf
        return evaluation.validation.value if evaluation.validation else 0.0

    return max(teachers, key=accuracy, default=None)


def _entries(run: Run) -> list[Entry]:
    """Return an entry for each teacher and node, in the order of the recipe, without results."""
    teachers = [
        Entry(
            name=teacher.name,
            kind="teacher",
            uses=teacher.path.name,
            chance=run.proven.get(teacher.name),
        )
        for teacher in run.plan.teachers
    ]
    order = list(run.plan.recipe.steps)
    steps = [
        Entry(
            name=node.name,
            kind="step",
            uses=node.plugin.name,
            inputs=node.inputs,
            config=node.config.model_dump(mode="json"),
            seed=node.seed if node.seeded else None,
            repeats=node.repeats,
            control=node.control,
            against=node.against,
            taught=node.taught,
            settings=dict(node.settings),
            excluded=dict(node.exclude),
            own_classes=node.config.own_classes is not None,
        )
        for node in sorted(run.nodes, key=lambda node: order.index(node.step))
    ]
    return teachers + sorted(steps, key=lambda entry: entry.repeats is not None)


def evaluate_entry(
    run: Run,
    entry: Entry,
    outcome: ArtifactOutcome,
    teacher: Entry | None = None,
    *,
    evaluate: bool,
) -> Entry:
    """Return the entry with its artifact and, if `evaluate`, its evaluation, and log the result.

    If the artifact or the evaluation is missing, the entry has the reason. It is logged when the
    run ends.
    """
    entry = _with_results(run, entry, outcome, teacher, evaluate=evaluate)
    if not entry.error:
        run.orchestrator.log.info(step_line(entry, methods_of(run.dataset.task)))
    return entry


def _with_results(
    run: Run, entry: Entry, outcome: ArtifactOutcome, teacher: Entry | None, *, evaluate: bool
) -> Entry:
    if not outcome.made:
        return entry.model_copy(update={"error": outcome.reason})
    result = outcome.result
    changes: dict[str, Any] = {
        "artifact": result.value.artifact,
        "cached": result.cached,
        "seconds": result.seconds,
    }
    try:
        artifact = run.workspace.store.open(result.value.artifact)
        changes |= {"record": artifact.record, "timings": artifact.record.measured.timings}
        if not answers_like(artifact.record.output, run.dataset):
            changes |= {"not_evaluated": _OTHER_ANSWERS} if evaluate else {}
        elif evaluate:
            changes |= _evaluate(run, entry.name, artifact, _reference(teacher))
    except PupilaError as error:
        changes |= {"error": str(error)}
    return entry.model_copy(update=changes)


def _evaluate(
    run: Run, name: str, artifact: Artifact, reference: tuple[str, str] | None
) -> dict[str, Any]:
    """Return the evaluation or measurement of an artifact, or the error instead."""
    section = run.plan.recipe.evaluate
    job = Evaluate.of(
        run.workspace, name, artifact, run.dataset, run.positive, section, reference, run.open_set
    )
    outcome = run.orchestrator.do(job)
    if not outcome.made:
        return {"error": outcome.reason}
    result = outcome.result.value
    return {"evaluation" if isinstance(result, Evaluation) else "measurement": result}


def check_runtimes(run: Run, entries: list[Entry]) -> list[Entry]:
    """Check evaluated artifacts in all runtimes and with all thread counts of the recipe."""
    section = run.plan.recipe.evaluate
    if not section.checks_runtimes:
        return entries
    images = runtimes.probe(run.dataset.select("test"), section.probe_images)
    artifacts = {entry.name: entry.artifact for entry in entries}
    return [
        _check_runtimes(run, entry, images, artifacts)
        if entry.evaluation or entry.measurement
        else entry
        for entry in entries
    ]


def _check_runtimes(
    run: Run, entry: Entry, images: Dataset, artifacts: Mapping[str, str | None]
) -> Entry:
    """Return the entry with its result in each runtime, and with the errors."""
    artifact, section = run.workspace.store.open(str(entry.artifact)), run.plan.recipe.evaluate
    exported = entry.kind == "step" and isinstance(installed().step(entry.uses), Exporter)
    source = artifacts[entry.inputs[0]] if exported else None
    results: list[RuntimeResult] = []
    for runner, threads in runtimes.runtimes(artifact.format, section):
        job = CheckRuntime.of(
            run.workspace, entry.name, artifact, runner, images, threads, section, source
        )
        outcome = run.orchestrator.do(job)
        if outcome.made:
            check = outcome.result.value
            result: dict[str, Any] = {"check": check, "failure": runtimes.failure(check, section)}
        else:
            result = {"failure": outcome.reason}
        results.append(RuntimeResult(runtime=runner.name, threads=threads, **result))
    failures = [f"{result.runtime}: {result.failure}" for result in results if result.failure]
    error = "; ".join(dict.fromkeys(failures)) or None
    return entry.model_copy(update={"runtimes": tuple(results), "error": error})


def _reference(teacher: Entry | None) -> tuple[str, str] | None:
    """Return name and digest of a teacher; None if something went wrong with it."""
    if teacher is None or teacher.artifact is None or teacher.error:
        return None
    return teacher.name, teacher.artifact
