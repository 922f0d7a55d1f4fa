"""Prepares the images of a run: reads, checks and, if the recipe asks for it, generates images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.markup import escape

from pupila.dataset import Dataset
from pupila.errors import PupilaError, check_class, list_names
from pupila.openset import OpenSetImages, check_accepts
from pupila_flows.data.hard_negatives import writing
from pupila_flows.data.open_set import corruptions
from pupila_flows.data.open_set.reading import read_near_misses, scan_images
from pupila_flows.data.reading import read_data
from pupila_flows.data.validation import screening
from pupila_flows.jobs.check_data import CheckData
from pupila_flows.jobs.corruptions import MakeCorruptions
from pupila_flows.jobs.hard_negatives import MakeHardNegatives
from pupila_flows.jobs.screen import Screen
from pupila_flows.plan import class_rules
from pupila_flows.plan.plan import Plan
from pupila_flows.progress import current_display
from pupila_flows.recipe.schema import ScreenSection
from pupila_flows.report.terminal import check_lines
from pupila_flows.results import Check, DataSummary
from pupila_flows.run.context import Run, same_classes
from pupila_flows.run.data_refused import DataRefused
from pupila_flows.run.orchestrator import ArtifactOutcome, Orchestrator, PendingArtifacts
from pupila_flows.run.prefect_artifacts import show_data_docs
from pupila_flows.workspace import Workspace


def read_dataset(plan: Plan, workspace: Workspace, orchestrator: Orchestrator) -> Dataset:
    """Read the data, and check that its classes fit the teachers and settings of the recipe.

    Raises:
        PupilaError: the data cannot be read, or its classes do not fit.
    """
    section = plan.recipe.data
    how = (section.classes, workspace.cache, section.task, plan.reader)
    dataset = orchestrator.call("read data", read_data, plan.data, *how)
    for teacher in plan.teachers:
        reason = plan.bound(teacher.name)
        if reason and teacher.spec.task != dataset.task:
            raise PupilaError(
                class_rules.other_task(teacher.name, teacher.spec.task, dataset.task, reason)
            )
        if reason and not same_classes(teacher.spec.classes, dataset.classes):
            raise PupilaError(
                f"Teacher {teacher.name!r} tells {list_names(teacher.spec.classes)} apart, but "
                f"the data has the classes {list_names(dataset.classes)}, and {reason}. Correct "
                "`classes` of the teacher, or the data."
            )
    open_set, made = plan.recipe.evaluate.open_set, plan.recipe.data.hard_negatives
    if open_set:
        check_accepts(open_set.accepts, dataset)
    if made:
        writing.check_label(made.label, dataset)
    if section.positive is not None:
        check_class("positive", section.positive, dataset.classes)
    return dataset


def check_data(run: Run) -> DataSummary:
    """Validate the data, show a link to its Data Docs, and return a summary.

    Raises:
        DataRefused: the data does not meet an expectation that stops a run.
    """
    section, source = run.plan.recipe.data, str(run.plan.data)
    job = CheckData.of(run.workspace, run.dataset, section, source)
    result = run.orchestrator.do(job, "check data").result.value
    summary = result.summary(run.dataset, section, source)
    show_data_docs(run, Path(result.data_docs))
    if not summary.passed:
        raise DataRefused(summary)
    return summary


def add_hard_negatives(run: Run, data: DataSummary) -> tuple[Run, DataSummary]:
    """Add hard negatives to the training images and the summary, if the recipe asks for them."""
    section = run.plan.recipe.data.hard_negatives
    if section is None:
        return run, data
    train = run.dataset.select("train")
    seed = run.plan.recipe.seed
    job = MakeHardNegatives.of(run.workspace, train, section, seed)
    folder = run.orchestrator.do(job).result.value.folder
    dataset, check = writing.add_negatives(run.dataset, folder, section.label, seed)
    current_display.get().finish(job.title, escape(check.observed))
    counts, fingerprint = dataset.counts, dataset.fingerprint
    changes = {"counts": counts, "fingerprint": fingerprint, "checks": (*data.checks, check)}
    return replace(run, dataset=dataset), data.model_copy(update=changes)


def read_open_set(run: Run) -> OpenSetImages | None:
    """Return the images for the open-set evaluation; None if the recipe has no such evaluation.

    Near misses are read from files. Corrupted images are made from test images."""
    section = run.plan.recipe.evaluate.open_set
    if section is None:
        return None
    classes, cache = run.dataset.classes, run.workspace.cache
    near = run.plan.near_misses
    return OpenSetImages(
        section.accepts,
        near_misses=read_near_misses(near, classes, cache) if near else None,
        corrupted=_make_corruptions(run, section.accepts) if section.corruptions else None,
    )


def _make_corruptions(run: Run, accepts: str) -> Dataset:
    """Return the test images of the accepted class with every corruption."""
    test, workspace = run.dataset.select("test"), run.workspace
    rows = test.frame["label"] == accepts
    accepted = test.of_frame(test.frame[rows])
    job = MakeCorruptions.of(workspace, accepted)
    folder = run.orchestrator.do(job).result.value.folder
    return scan_images(corruptions.list_altered(folder), test.classes, workspace.cache, job.title)


def screen(run: Run, data: DataSummary, teachers: PendingArtifacts) -> DataSummary:
    """Let the recipe's filter check the images, and return the summary `data` with this check.

    If the recipe has no filter, return `data` unchanged. If the filter cannot be read or run, the
    added check says why, and the run goes on.
    """
    section = run.plan.recipe.data.screen
    if section is None:
        return data
    check = _screen(run, section, teachers[section.teacher].wait())
    current_display.get().finish("screen", escape("\n".join(check_lines(check))))
    return data.model_copy(update={"checks": (*data.checks, check)})


def _screen(run: Run, section: ScreenSection, imported: ArtifactOutcome) -> Check:
    if not imported.made:
        return screening.skip_check(section.teacher, section.accepts, imported.reason)
    try:
        artifact = run.workspace.store.open(imported.result.value.artifact)
        job = Screen.of(run.workspace, section, artifact, run.dataset)
    except PupilaError as error:
        return screening.skip_check(section.teacher, section.accepts, str(error))
    outcome = run.orchestrator.do(job)
    if outcome.made:
        return outcome.result.value
    return screening.skip_check(section.teacher, section.accepts, outcome.reason)
