"""Reads external images before anything is trained, and evaluates every model on them later."""

from __future__ import annotations

from collections.abc import Sequence

from pupila_flows.data.external.reading import (
    ExternalImages,
    read_external,
    refuse_run_images,
    refuse_seen_images,
)
from pupila_flows.data.training_images import TrainingImages
from pupila_flows.gate.inputs import Case, GateInputs
from pupila_flows.jobs.compare_external import CompareExternal
from pupila_flows.jobs.evaluate_external import EvaluateExternal
from pupila_flows.recipe.gate import GateSection
from pupila_flows.results import Entry, ExternalResult, ExternalSet
from pupila_flows.run.context import Run
from pupila_flows.run.orchestrator import PendingArtifacts
from pupila_flows.run.questions import gate_model_of, images_of, places, validation_of


def external_images(run: Run) -> tuple[ExternalImages, ...]:
    """Read the external images that a recipe names.

    Raises:
        PupilaError: the images cannot be read, or some are also in the data of the run.
    """
    distance, external = _distance(run), list[ExternalImages]()
    for listed in run.plan.external:
        listing = listed.listing.with_classes(run.dataset.classes, listed.section.map)
        images = read_external(listed.name, listing, run.dataset.classes, run.workspace.cache)
        refuse_run_images(images, run.dataset, distance)
        external.append(images)
    return tuple(external)


def refuse_training_images(run: Run, teachers: PendingArtifacts) -> None:
    """Check that no teacher is known to have been trained on the external images.

    Raises:
        PupilaError: a teacher was trained on some of the external images.
    """
    for name, teacher in teachers.items() if run.external else ():
        outcome = teacher.wait()
        if outcome.made:
            folder = run.workspace.store.path_of(outcome.result.value.artifact)
            known = TrainingImages.read(folder)
            for images in run.external:
                refuse_seen_images(images, f"teacher {name!r}", known, _distance(run))


def evaluate_external(run: Run, entries: Sequence[Entry]) -> list[Entry]:
    """Evaluate models on the external images, and return the entries with the results.

    Only models that were evaluated on the test images are evaluated here.
    """
    if not run.external:
        return list(entries)
    by_name = {entry.name: entry for entry in entries}
    evaluated = [_evaluate(run, entry, by_name) if entry.evaluation else entry for entry in entries]
    return _compare(run, evaluated)


def external_failures(entries: Sequence[Entry]) -> list[str]:
    """Return a line for each model and external set where the evaluation failed."""
    return [
        f"{entry.name} on {result.name}: {result.error}"
        for entry in entries
        for result in entry.external
        if result.error
    ]


def describe(images: ExternalImages) -> ExternalSet:
    """Return what `result.json` says about external images."""
    dataset = images.dataset
    split = dataset.counts if images.labelled else {}
    patients = dataset.patients
    return ExternalSet(
        name=images.name,
        path=str(images.source),
        fingerprint=dataset.fingerprint,
        images=len(dataset),
        patients=None if patients is None else len(set(patients.tolist())),
        counts={name: split["test"].get(name, 0) for name in dataset.classes} if split else None,
        skipped=images.skipped,
    )


def _evaluate(run: Run, entry: Entry, entries: dict[str, Entry]) -> Entry:
    results = tuple(_result(run, entry, images, entries) for images in run.external)
    return entry.model_copy(update={"external": results})


def _result(
    run: Run, entry: Entry, images: ExternalImages, entries: dict[str, Entry]
) -> ExternalResult:
    teacher = entries.get(entry.reference or "")
    data = run.dataset
    job = EvaluateExternal.of(
        run.workspace,
        f"evaluate-{entry.name}-on-{images.name}",
        run.workspace.store.open(str(entry.artifact)),
        images.dataset,
        positive=run.positive,
        specificity=run.plan.recipe.evaluate.specificity,
        validation=data.select("validation") if "validation" in data.splits else None,
        reference=(teacher.name, teacher.artifact) if teacher and teacher.artifact else None,
    )
    outcome = run.orchestrator.do(job)
    if not outcome.made:
        return ExternalResult(name=images.name, error=outcome.reason)
    return ExternalResult(name=images.name, evaluation=outcome.result.value)


def _compare(run: Run, entries: Sequence[Entry]) -> list[Entry]:
    """Add the paired differences between each model and its teacher."""
    by_name = {entry.name: entry for entry in entries}
    cases = [_case(entry, by_name) for entry in entries if entry.evaluation and entry.reference]
    if not cases or not any(images.labelled for images in run.external):
        return list(entries)
    inputs = GateInputs(
        section=GateSection().of_task(run.dataset.task),
        specificity=run.plan.recipe.evaluate.specificity,
        cases=tuple(cases),
        task=run.dataset.task,
        classes=run.dataset.classes,
        positive=run.positive,
        test=images_of(run.dataset.select("test")),
        validation=validation_of(run.dataset),
        external=places(run, entries, None),
    )
    outcome = run.orchestrator.do(CompareExternal.of(run.workspace, inputs))
    if not outcome.made:
        return [_with_error(entry, outcome.reason) for entry in entries]
    by_place = outcome.result.value.by_place

    def with_differences(entry: Entry) -> Entry:
        external = tuple(
            result.model_copy(update={"differences": by_place[result.name].get(entry.name, {})})
            for result in entry.external
        )
        return entry.model_copy(update={"external": external})

    return [with_differences(entry) for entry in entries]


def _case(entry: Entry, entries: dict[str, Entry]) -> Case:
    teacher = entries.get(entry.reference or "")
    return Case(
        entry=entry.name,
        made=entry.uses,
        artifact=gate_model_of(entry),
        teacher=gate_model_of(teacher) if teacher else None,
    )


def _with_error(entry: Entry, reason: str) -> Entry:
    external = tuple(result.model_copy(update={"error": reason}) for result in entry.external)
    return entry.model_copy(update={"external": external})


def _distance(run: Run) -> int:
    return run.plan.recipe.data.expectations.near_duplicate_distance
