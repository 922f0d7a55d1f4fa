"""Every artifact is judged in its own runtime, and tried in the others that a recipe names."""

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
from pupila_flows.jobs.check_runtime import CheckRuntime
from pupila_flows.jobs.evaluate import Evaluate
from pupila_flows.results import Entry, Tried
from pupila_flows.run import runtimes
from pupila_flows.run.context import Run, same_classes
from pupila_flows.run.prefect_tasks import ArtifactState, States, reason_of, result_of, run_job

_OTHERWISE = "tells other classes apart: not judged"


def judge_all(run: Run, states: States, *, only_last: bool) -> list[Entry]:
    """Judge the artifacts, one at a time: no other work of ours disturbs the latencies.

    Entries of what is not made yet, as it shows the figures of others, are left as they are.
    """
    models = [node for node in run.nodes if not node.shows_metrics]
    inside = {name for node in models for name in node.inputs if only_last}
    inside -= run.plan.recipe.teachers.keys()
    inside -= {node.control for node in run.nodes if node.name not in inside}
    unjudged = inside | {node.name for node in run.nodes if not node.plugin.evaluated}
    entries = {entry.name: entry for entry in _entries(run)}
    behind: dict[str, tuple[str, ...]] = {each.name: () for each in run.plan.teachers}
    behind |= {node.name: node.teachers for node in run.nodes}
    judged: dict[str, Entry] = {}
    for name in TopologicalSorter(behind).static_order():  # after what it is compared with
        reference = best_of(behind[name], judged)
        entry = entries[name].model_copy(update={"reference": reference})
        if name in states:
            teacher = judged.get(reference or "")
            entry = judged_entry(run, entry, states[name], teacher, judge=name not in unjudged)
        judged[name] = entry
    return [judged[name] for name in entries]


def best_of(teachers: Sequence[str], judged: Mapping[str, Entry]) -> str | None:
    """Return the teacher that a model is compared with: the best on the validation images.

    The first of such; and before all one that was not judged, or a model could pass against a worse
    one.
    """

    def accuracy(name: str) -> float:
        found = judged[name].evaluation
        if found is None:
            return math.inf
        return found.validation.value if found.validation else 0.0

    return max(teachers, key=accuracy, default=None)


def _entries(run: Run) -> list[Entry]:
    """List the nodes of the graph as the recipe has them, before anything is known of them."""
    teachers = [
        Entry(
            name=each.name,
            kind="teacher",
            uses=each.path.name,
            chance=run.proven.get(each.name),
        )
        for each in run.plan.teachers
    ]
    written = list(run.plan.recipe.steps)
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
            taught=node.taught,
            settings=dict(node.settings),
            without=dict(node.exclude),
        )
        for node in sorted(run.nodes, key=lambda node: written.index(node.step))
    ]
    return teachers + sorted(steps, key=lambda entry: entry.repeats is not None)


def judged_entry(
    run: Run, entry: Entry, state: ArtifactState, teacher: Entry | None = None, *, judge: bool
) -> Entry:
    """Complete an entry with its artifact and judgement, or with what went wrong."""
    if not state.is_completed():
        return entry.model_copy(update={"error": reason_of(state)})
    made = result_of(state)
    known: dict[str, Any] = {
        "artifact": made.value.artifact,
        "cached": made.cached,
        "seconds": made.seconds,
    }
    try:
        artifact = run.workspace.store.open(made.value.artifact)
        known |= {"record": artifact.record, "timings": artifact.record.measured.timings}
        if not same_classes(artifact.record.output.classes, run.dataset.classes):
            known |= {"unjudged": _OTHERWISE} if judge else {}
        elif judge:
            known |= _judgement(run, entry.name, artifact, _reference(teacher))
    except PupilaError as error:
        known |= {"error": str(error)}
    return entry.model_copy(update=known)


def _judgement(
    run: Run, name: str, artifact: Artifact, reference: tuple[str, str] | None
) -> dict[str, Any]:
    """Return the evaluation or measurement of an artifact, or the error in its place."""
    section = run.plan.recipe.evaluate
    job = Evaluate.of(
        run.workspace, name, artifact, run.dataset, run.positive, section, reference, run.open_set
    )
    state = run_job(job)
    if not state.is_completed():
        return {"error": reason_of(state)}
    found = result_of(state).value
    return {"evaluation" if isinstance(found, Evaluation) else "measurement": found}


def try_all(run: Run, entries: list[Entry]) -> list[Entry]:
    """Try what runs in its own runtime in the others that the recipe names, one after another."""
    section = run.plan.recipe.evaluate
    if not section.tries:
        return entries
    images = runtimes.probe(run.dataset.select("test"), section.probe_images)
    artifacts = {entry.name: entry.artifact for entry in entries}
    return [
        _tried(run, entry, images, artifacts) if entry.evaluation or entry.measurement else entry
        for entry in entries
    ]


def _tried(run: Run, entry: Entry, images: Dataset, artifacts: Mapping[str, str | None]) -> Entry:
    """Complete an entry with how it did in each runtime, and with what went wrong there."""
    artifact, section = run.workspace.store.open(str(entry.artifact)), run.plan.recipe.evaluate
    exported = entry.kind == "step" and isinstance(installed().step(entry.uses), Exporter)
    source = artifacts[entry.inputs[0]] if exported else None
    tried: list[Tried] = []
    for runner, threads in runtimes.runtimes(artifact.format, section):
        job = CheckRuntime.of(
            run.workspace, entry.name, artifact, runner, images, threads, section, source
        )
        state = run_job(job)
        if state.is_completed():
            trial = result_of(state).value
            found: dict[str, Any] = {"trial": trial, "failure": runtimes.failure(trial, section)}
        else:
            found = {"failure": reason_of(state)}
        tried.append(Tried(runtime=runner.name, threads=threads, **found))
    failures = [f"{each.runtime}: {each.failure}" for each in tried if each.failure]
    error = "; ".join(dict.fromkeys(failures)) or None
    return entry.model_copy(update={"tried": tuple(tried), "error": error})


def _reference(teacher: Entry | None) -> tuple[str, str] | None:
    """Return name and digest of a teacher; None where something went wrong with it."""
    if teacher is None or teacher.artifact is None or teacher.error:
        return None
    return teacher.name, teacher.artifact
