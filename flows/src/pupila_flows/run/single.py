"""Runs single jobs for the command line, outside any Prefect flow."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from pupila.errors import PupilaError, check_class
from pupila.plugin import CLASSIFICATION
from pupila_flows.data.reading import read_data
from pupila_flows.execution.job import Job
from pupila_flows.execution.session import perform, session
from pupila_flows.jobs.check_data import CheckData
from pupila_flows.jobs.report import DrawReport
from pupila_flows.recipe.schema import DataSection
from pupila_flows.report.past_runs import RESULT, find_run
from pupila_flows.results import DataSummary
from pupila_flows.workspace import Workspace

ResultT = TypeVar("ResultT")


def validate(
    workspace: Workspace,
    data: Path,
    classes: tuple[str, ...] | None,
    positive: str | None,
    task: str = CLASSIFICATION,
) -> DataSummary:
    """Check a dataset against the default expectations, and write its Data Docs.

    Raises:
        PupilaError: the data cannot be read, or `positive` is not one of its classes.
    """
    if positive is not None and task != CLASSIFICATION:
        raise PupilaError(f"The task {task!r} has no classes: leave --positive out.")
    dataset = read_data(data, classes, workspace.cache, task)
    if positive is not None:
        check_class("positive", positive, dataset.classes)
    section = DataSection(path=str(data), positive=positive, task=task)
    result = perform_alone(CheckData.of(workspace, dataset, section, str(data)))
    return result.summary(dataset, section, str(data))


def report(workspace: Workspace, run: str | None) -> Path:
    """Redraw the report of a run (see `find_run`), and return the path of the report.

    Raises:
        PupilaError: there is no such run, or it has not finished.
    """
    result = find_run(workspace, run) / RESULT
    unique = uuid4().hex  # so that no report is reused
    return perform_alone(DrawReport.of(workspace, result.resolve(), unique)).report


def perform_alone(job: Job[ResultT]) -> ResultT:
    """Do a job in its own session, outside any Prefect flow, and return its result."""
    with session(job.workspace, workers=1):
        return perform(job).value
