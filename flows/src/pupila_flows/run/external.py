"""Images of other places: read before anything is made; at last every model is judged on them."""

from __future__ import annotations

from collections.abc import Sequence

from pupila_flows.data.external.reading import (
    ExternalImages,
    read_external,
    refuse_known,
    refuse_learned,
)
from pupila_flows.data.training_images import TrainingImages
from pupila_flows.gate.inputs import Case, Question
from pupila_flows.jobs.compare_external import CompareExternal
from pupila_flows.jobs.evaluate_external import EvaluateExternal
from pupila_flows.recipe.gate import GateSection
from pupila_flows.results import Entry, ExternalResult, ExternalSet
from pupila_flows.run.context import Run
from pupila_flows.run.prefect_tasks import Futures, reason_of, result_of, run_job
from pupila_flows.run.questions import images_of, places, side_of, validation_of


def external_images(run: Run) -> tuple[ExternalImages, ...]:
    """Read the images of other places that a recipe names.

    Raises:
        PupilaError: they cannot be read, or the data of the run has some of them too.
    """
    distance, found = _distance(run), list[ExternalImages]()
    for each in run.plan.external:
        listing = each.listing.with_classes(run.dataset.classes, each.section.map)
        images = read_external(each.name, listing, run.dataset.classes, run.workspace.cache)
        refuse_known(images, run.dataset, distance)
        found.append(images)
    return tuple(found)


def refuse_learned_images(run: Run, teachers: Futures) -> None:
    """Make sure that no teacher is known to have been trained on images of another place.

    Raises:
        PupilaError: one was.
    """
    for name, future in teachers.items() if run.external else ():
        future.wait()
        if future.state.is_completed():
            folder = run.workspace.store.path_of(result_of(future.state).value.artifact)
            known = TrainingImages.read(folder)
            for images in run.external:
                refuse_learned(images, f"teacher {name!r}", known, _distance(run))


def judge_elsewhere(run: Run, entries: Sequence[Entry]) -> list[Entry]:
    """Judge every model that was judged at home on the images of other places too."""
    if not run.external:
        return list(entries)
    by_name = {entry.name: entry for entry in entries}
    judged = [_judged(run, entry, by_name) if entry.evaluation else entry for entry in entries]
    return _compared(run, judged)


def failures_elsewhere(entries: Sequence[Entry]) -> list[str]:
    """Say in a line each which model could not be judged on which images."""
    return [
        f"{entry.name} on {each.name}: {each.error}"
        for entry in entries
        for each in entry.external
        if each.error
    ]


def described(images: ExternalImages) -> ExternalSet:
    """Return what a result tells of images of another place."""
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


def _judged(run: Run, entry: Entry, entries: dict[str, Entry]) -> Entry:
    found = tuple(_result(run, entry, images, entries) for images in run.external)
    return entry.model_copy(update={"external": found})


def _result(
    run: Run, entry: Entry, images: ExternalImages, entries: dict[str, Entry]
) -> ExternalResult:
    teacher = entries.get(entry.reference or "")
    data = run.dataset
    job = EvaluateExternal.of(
        run.workspace,
        f"judge-{entry.name}-on-{images.name}",
        run.workspace.store.open(str(entry.artifact)),
        images.dataset,
        positive=run.positive,
        specificity=run.plan.recipe.evaluate.specificity,
        validation=data.select("validation") if "validation" in data.splits else None,
        reference=(teacher.name, teacher.artifact) if teacher and teacher.artifact else None,
    )
    state = run_job(job)
    if not state.is_completed():
        return ExternalResult(name=images.name, error=reason_of(state))
    return ExternalResult(name=images.name, evaluation=result_of(state).value)


def _compared(run: Run, entries: Sequence[Entry]) -> list[Entry]:
    """Add the paired differences of each model and its teacher."""
    by_name = {entry.name: entry for entry in entries}
    cases = [_case(entry, by_name) for entry in entries if entry.evaluation and entry.reference]
    if not cases or not any(each.labelled for each in run.external):
        return list(entries)
    question = Question(
        section=GateSection(),
        specificity=run.plan.recipe.evaluate.specificity,
        cases=tuple(cases),
        classes=run.dataset.classes,
        positive=run.positive,
        test=images_of(run.dataset.select("test")),
        validation=validation_of(run.dataset),
        external=places(run, entries, None),
    )
    state = run_job(CompareExternal.of(run.workspace, question))
    if not state.is_completed():
        return [_failed(entry, reason_of(state)) for entry in entries]
    found = result_of(state).value.by_place

    def with_differences(entry: Entry) -> Entry:
        external = tuple(
            each.model_copy(update={"differences": found[each.name].get(entry.name, {})})
            for each in entry.external
        )
        return entry.model_copy(update={"external": external})

    return [with_differences(entry) for entry in entries]


def _case(entry: Entry, entries: dict[str, Entry]) -> Case:
    teacher = entries.get(entry.reference or "")
    return Case(
        entry=entry.name,
        made=entry.uses,
        artifact=side_of(entry),
        teacher=side_of(teacher) if teacher else None,
    )


def _failed(entry: Entry, reason: str) -> Entry:
    external = tuple(each.model_copy(update={"error": reason}) for each in entry.external)
    return entry.model_copy(update={"external": external})


def _distance(run: Run) -> int:
    return run.plan.recipe.data.expectations.near_duplicate_distance
