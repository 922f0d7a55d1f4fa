"""Does the jobs of a run as Prefect tasks: their retries, progress and failures."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from logging import Logger, LoggerAdapter
from typing import Any, Generic, TypeVar, cast

from prefect import get_run_logger, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.futures import PrefectFuture, as_completed
from prefect.states import Completed
from prefect.tasks import Task

from pupila.errors import PupilaError
from pupila_flows.execution.child import ChildFailed
from pupila_flows.execution.job import Job, JobResult
from pupila_flows.execution.session import perform
from pupila_flows.jobs.artifact_job import StoredArtifact
from pupila_flows.jobs.run_step import RunStep
from pupila_flows.markdown import plain, without_links
from pupila_flows.progress import progress_line
from pupila_flows.recipe.schema import RETRIES
from pupila_flows.run.best_effort import best_effort
from pupila_flows.run.orchestrator import NOT_MADE, Outcome, Pending

ResultT = TypeVar("ResultT")

RETRY_DELAY_SECONDS = 2
_PROGRESS_ARTIFACT_SECONDS = 5.0
"""Shortest time between two updates of progress in Prefect's database."""


@task(cache_policy=NO_CACHE)
def do(job: Job[Any], inputs: list[JobResult[StoredArtifact]]) -> State[JobResult[Any]]:
    """Do a job in a child process; if it is the job of a step, the step works on `inputs`."""
    if isinstance(job, RunStep) and inputs:
        job = job.on([result.value for result in inputs])
    progress = _ProgressArtifact(job.title)
    result = perform(job, progress)
    progress.finish()
    return Completed(data=result, name="Cached" if result.cached else "Completed")


def _crashed(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Return whether to retry a task: after a crash, but not after wrong input."""
    del task, run
    return isinstance(state.result(raise_on_failure=False), ChildFailed)


def _task_for(name: str, retries: int) -> Any:
    """Return the task `do` under the name that the Prefect UI shows."""
    return do.with_options(
        name=name,
        retries=retries,
        retry_delay_seconds=RETRY_DELAY_SECONDS,
        retry_condition_fn=_crashed,
    )


@dataclass(frozen=True)
class _Ended(Generic[ResultT]):
    """Outcome of a job that a Prefect task has done."""

    state: State[JobResult[ResultT]]

    @property
    def made(self) -> bool:
        return self.state.is_completed()

    @property
    def result(self) -> JobResult[ResultT]:
        result: Any = self.state.result()
        return result

    @property
    def refused(self) -> bool:
        error = None if self.made else self.state.result(raise_on_failure=False)
        return isinstance(error, PupilaError)

    @property
    def reason(self) -> str:
        if self.state.name == "NotReady":
            return NOT_MADE
        return str(self.state.result(raise_on_failure=False))


@dataclass(frozen=True)
class _Submitted:
    """A job that was submitted as a Prefect task."""

    future: PrefectFuture[JobResult[StoredArtifact]]

    def wait(self) -> Outcome[StoredArtifact]:
        self.future.wait()  # keeps the state in the future, so that no server is asked for it
        return _Ended(self.future.state)


class PrefectTasks:
    """The orchestrator of a Prefect flow: a task a job, branches side by side."""

    @property
    def log(self) -> Logger | LoggerAdapter[Any]:
        return get_run_logger()

    def call(self, name: str, function: Callable[..., ResultT], *arguments: Any) -> ResultT:
        return task(name=name, cache_policy=NO_CACHE)(function)(*arguments)

    def do(self, job: Job[ResultT], name: str | None = None) -> Outcome[ResultT]:
        return _Ended(_task_for(name or job.title, RETRIES)(job, [], return_state=True))

    def submit(
        self,
        job: Job[StoredArtifact],
        inputs: Sequence[Pending[StoredArtifact]] = (),
        retries: int = RETRIES,
    ) -> Pending[StoredArtifact]:
        futures = [submitted.future for submitted in cast("Sequence[_Submitted]", inputs)]
        return _Submitted(_task_for(job.title, retries).submit(job, futures))

    def as_ended(
        self, submitted: Iterable[Pending[StoredArtifact]]
    ) -> Iterator[Pending[StoredArtifact]]:
        futures = [job.future for job in cast("Iterable[_Submitted]", submitted)]
        return map(_Submitted, as_completed(futures))

    def show(self, text: str, key: str, description: str) -> None:
        create_markdown_artifact(text, key, description)

    def emit(self, event: str, resource: dict[str, str], payload: dict[str, Any]) -> None:
        emit_event(event, resource=resource, payload=payload)


class _ProgressArtifact:
    """A Prefect progress artifact; it appears once the work has taken a few seconds.

    Its description is the latest progress message: the first line as text, the lines below as
    Markdown, in which HTML, links and pictures are shown as source text.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._last = time.monotonic()
        self._below = ""
        self._artifact: Any = None

    def __call__(self, done: int, total: int, what: str) -> None:
        _raise_if_paused()
        now = time.monotonic()
        self._below = without_links(what.partition("\n")[2])
        if now - self._last < _PROGRESS_ARTIFACT_SECONDS:
            return
        self._last = now
        self._show(100 * done / max(total, 1), progress_line(done, total, what))

    def finish(self) -> None:
        """Show that the work is done, if any progress was shown."""
        if self._artifact is not None:
            self._show(100, "done")

    def _show(self, percent: float, line: str) -> None:
        text = f"{plain(f'{self._title}: {line}')}\n{self._below}".rstrip()
        with best_effort(text):
            if self._artifact is None:
                self._artifact = create_progress_artifact(percent, description=text)
            else:
                update_progress_artifact(self._artifact, progress=percent, description=text)


def _raise_if_paused() -> None:
    """Stop the current job if its run was paused in the UI; a resumed run continues the job.

    Prefect itself would wait for the job to end, and let another run train meanwhile.
    """
    run = FlowRunContext.get()
    if run:
        run.flow_run_suspension_request.raise_if_requested()


def keep_log_short() -> None:
    """Log no line at the end of each Prefect task; the results of models are logged instead."""
    logging.getLogger("prefect.task_runs").setLevel(logging.WARNING)
