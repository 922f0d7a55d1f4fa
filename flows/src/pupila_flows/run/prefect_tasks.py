"""The Prefect task in which every piece of work is done, and how it is told what went wrong."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.states import Completed
from prefect.tasks import Task

from pupila_flows.execution.child import ChildFailed
from pupila_flows.execution.session import Outcome, Work, perform
from pupila_flows.run.best_effort import telling

_PROGRESS_ARTIFACT_SECONDS = 5.0
"""Prefect's database is told of progress no more often than this."""


Made = Mapping[str, State[Outcome]]
Futures = Mapping[str, PrefectFuture[Outcome]]


@task(cache_policy=NO_CACHE)
def do(work: Work, inputs: list[Outcome]) -> State[Outcome]:
    """Do a piece of work on what was made before, in a child process."""
    if inputs:
        work = work.on([each.value["artifact"] for each in inputs])
    progress = _ProgressArtifact(work.title)
    outcome = perform(work, progress)
    progress.finish()
    return Completed(data=outcome, name="Cached" if outcome.cached else "Completed")


def _crashed(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Tell whether trying again can help: after a crash, yes; with wrong input, never."""
    del task, run
    return isinstance(state.result(raise_on_failure=False), ChildFailed)


def task_for(name: str, retries: int = 1) -> Any:
    """Return the task `do` under the name that the Prefect UI shows."""
    return do.with_options(
        name=name, retries=retries, retry_delay_seconds=2, retry_condition_fn=_crashed
    )


class _ProgressArtifact:
    """A Prefect progress artifact, for work that takes long enough to be looked at.

    Its description is all that the work tells, in Markdown: the first line and what is below it.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._last = time.monotonic()
        self._below = ""
        self._artifact: Any = None

    def __call__(self, done: int, total: int, what: str) -> None:
        _heed_pause()
        now = time.monotonic()
        self._below = what.partition("\n")[2]
        if now - self._last < _PROGRESS_ARTIFACT_SECONDS:
            return
        self._last = now
        self._tell(100 * done / max(total, 1), f"{self._title}: {what}")

    def finish(self) -> None:
        """Show that the work is done, where any progress was shown."""
        if self._artifact is not None:
            self._tell(100, f"{self._title}: done\n{self._below}".rstrip())

    def _tell(self, percent: float, text: str) -> None:
        with telling(text):
            if self._artifact is None:
                self._artifact = create_progress_artifact(percent, description=text)
            else:
                update_progress_artifact(self._artifact, progress=percent, description=text)


def _heed_pause() -> None:
    """End the work under way where its run was paused in the UI; resumed, it goes on from there.

    Prefect itself would wait for the end of it, and let another run train meanwhile.
    """
    run = FlowRunContext.get()
    if run:
        run.flow_run_suspension_request.raise_if_requested()


def outcome_of(state: State[Outcome]) -> Outcome:
    """Return what a completed task came to."""
    outcome: Any = state.result()
    return outcome


def reason_of(state: State[Outcome]) -> str:
    """Say why a state is not completed, in the words of the error itself."""
    if state.name == "NotReady":
        return "Not made: what it builds on was not made."
    return str(state.result(raise_on_failure=False))
