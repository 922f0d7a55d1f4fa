"""Before anything is trained: the images are read, checked, and made where a recipe asks for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from prefect import task
from prefect.artifacts import create_link_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from rich.markup import escape

from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.openset import OpenSetImages, check_accepts
from pupila_flows import progress as display
from pupila_flows.data.hard_negatives import writing as negatives
from pupila_flows.data.open_set import corruptions
from pupila_flows.data.open_set.reading import read_near_misses, scanned
from pupila_flows.data.reading import read_data
from pupila_flows.data.validation import screening
from pupila_flows.execution.session import Outcome
from pupila_flows.jobs import assignments
from pupila_flows.plan.plan import Plan
from pupila_flows.recipe.schema import ScreenSection
from pupila_flows.report.terminal import check_lines
from pupila_flows.results import Check, DataSummary
from pupila_flows.run.best_effort import telling
from pupila_flows.run.context import Run, same_classes
from pupila_flows.run.prefect_tasks import Futures, outcome_of, reason_of, task_for
from pupila_flows.workspace import Workspace


class DataRefused(PupilaError):
    """The data broke an expectation that stops a run."""

    def __init__(self, summary: DataSummary) -> None:
        self.summary = summary
        failed = [c for c in summary.checks if not c.passed and c.severity == "error"]
        lines = ["The data does not meet its expectations; nothing was trained."]
        lines += [line for check in failed for line in check_lines(check)]
        super().__init__("\n".join([*lines, f"Data Docs: {summary.data_docs}"]))


def read_dataset(plan: Plan, place: Workspace) -> Dataset:
    """Read the data and make sure that the teachers speak of its classes, where they must."""
    read = task(name="read data", cache_policy=NO_CACHE)(read_data)
    dataset = read(plan.data, plan.recipe.data.classes, place.cache)
    for teacher in plan.teachers:
        reason = plan.bound(teacher.name)
        if reason and not same_classes(teacher.contract.classes, dataset.classes):
            raise PupilaError(
                f"Teacher {teacher.name!r} tells {list(teacher.contract.classes)} apart, but the "
                f"data has the classes {list(dataset.classes)}, and {reason}. Correct `classes` of "
                "the teacher, or the data."
            )
    open_set, made = plan.recipe.evaluate.open_set, plan.recipe.data.hard_negatives
    if open_set:
        check_accepts(open_set.accepts, dataset)
    if made:
        negatives.check_label(made.label, dataset)
    positive = plan.recipe.data.positive
    if positive not in (None, *dataset.classes):
        raise PupilaError(f"positive is {positive!r}: none of the classes {dataset.classes}.")
    return dataset


def checked_data(run: Run) -> DataSummary:
    """Validate the data and return what was found.

    Raises:
        DataRefused: an expectation that stops a run is broken.
    """
    section, source = run.plan.recipe.data, str(run.plan.data)
    work = assignments.check_data(run.place, run.dataset, section, source)
    outcome = outcome_of(task_for("check data")(work, [], return_state=True))
    summary = assignments.data_summary(run.dataset, section, source, outcome)
    if summary.data_docs:
        with telling("where the Data Docs are"):
            create_link_artifact(Path(summary.data_docs).as_uri(), "Data Docs")
    if not summary.passed:
        raise DataRefused(summary)
    return summary


def with_hard_negatives(run: Run, data: DataSummary) -> tuple[Run, DataSummary]:
    """Add images made from the training images, where the recipe asks for them, and say so."""
    section = run.plan.recipe.data.hard_negatives
    if section is None:
        return run, data
    train = run.dataset.select("train")
    work = assignments.make_negatives(run.place, train, section, run.plan.recipe.seed)
    folder = Path(outcome_of(task_for(work.title)(work, [], return_state=True)).value["images"])
    seed = run.plan.recipe.seed
    dataset, check = negatives.added(run.dataset, folder, section.label, seed)
    display.current.get().finish(work.title, check.found)
    counts, fingerprint = assignments.counts(dataset), dataset.fingerprint
    changes = {"counts": counts, "fingerprint": fingerprint, "checks": (*data.checks, check)}
    return replace(run, dataset=dataset), data.model_copy(update=changes)


def open_set_of(run: Run) -> OpenSetImages | None:
    """Read, and make, what every artifact is asked about as a gate, where the recipe says so."""
    section = run.plan.recipe.evaluate.open_set
    if section is None:
        return None
    classes, cache = run.dataset.classes, run.place.cache
    near = run.plan.near_misses
    return OpenSetImages(
        section.accepts,
        near_misses=read_near_misses(near, classes, cache) if near else None,
        corrupted=_altered(run, section.accepts) if section.corruptions else None,
    )


def _altered(run: Run, accepts: str) -> Dataset:
    """Return the accepted test images with every alteration."""
    test, place = run.dataset.select("test"), run.place
    rows = test.frame["label"] == accepts
    accepted = Dataset(test.frame[rows].reset_index(drop=True), test.classes, test.cache)
    work = assignments.alter(place, accepted)
    folder = Path(outcome_of(task_for(work.title)(work, [], return_state=True)).value["images"])
    return scanned(corruptions.altered(folder), test.classes, place.cache, work.title)


def screened(run: Run, data: DataSummary, teachers: Futures) -> DataSummary:
    """Add what a gate says of the images, where the recipe names one; it stops nothing."""
    section = run.plan.recipe.data.screen
    if section is None:
        return data
    gate = teachers[section.teacher]
    gate.wait()
    check = _screening(run, section, gate.state)
    display.current.get().finish("screen", escape("\n".join(check_lines(check))))
    return data.model_copy(update={"checks": (*data.checks, check)})


def _screening(run: Run, section: ScreenSection, imported: State[Outcome]) -> Check:
    if not imported.is_completed():
        return screening.not_asked(section.teacher, section.accepts, reason_of(imported))
    try:
        gate = run.place.store.open(outcome_of(imported).value["artifact"])
        work = assignments.screen(run.place, section, gate, run.dataset)
    except PupilaError as error:
        return screening.not_asked(section.teacher, section.accepts, str(error))
    state = task_for("screen")(work, [], return_state=True)
    if state.is_completed():
        return Check.model_validate(outcome_of(state).value["check"])
    return screening.not_asked(section.teacher, section.accepts, reason_of(state))
