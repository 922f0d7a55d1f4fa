"""How the stages of a run do their jobs, without knowing whether Prefect is behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from logging import Logger, LoggerAdapter
from typing import Any, Protocol, TypeVar

from pupila_flows.execution.job import Job, JobResult
from pupila_flows.jobs.artifact_job import StoredArtifact
from pupila_flows.recipe.schema import RETRIES

ResultT = TypeVar("ResultT")


class Outcome(Protocol[ResultT]):
    """How a job has ended."""

    @property
    def made(self) -> bool:
        """Whether the job has a result."""
        ...

    @property
    def result(self) -> JobResult[ResultT]:
        """The result; raises the error of the job if it has none."""
        ...

    @property
    def refused(self) -> bool:
        """Whether the input of the job is wrong, so that doing it again ends in the same way."""
        ...

    @property
    def reason(self) -> str:
        """Error message of a job without a result."""
        ...


class Pending(Protocol[ResultT]):
    """A job that was submitted."""

    def wait(self) -> Outcome[ResultT]:
        """Wait until the job has ended, and return its outcome."""
        ...


NOT_MADE = "Not made: what it builds on was not made."
"""Reason of a job whose inputs have no result."""

ArtifactOutcome = Outcome[StoredArtifact]
Outcomes = Mapping[str, ArtifactOutcome]
"""How the job of each teacher and node has ended, by name."""
PendingArtifacts = Mapping[str, Pending[StoredArtifact]]
"""The submitted job of each teacher and node, by name."""


class Orchestrator(Protocol):
    """Does the jobs of one run: as Prefect tasks, or by recalling their results."""

    @property
    def log(self) -> Logger | LoggerAdapter[Any]:
        """Log of the run."""
        ...

    def call(self, name: str, function: Callable[..., ResultT], *arguments: Any) -> ResultT:
        """Call a function in this process, as a part of the run that has a name."""
        ...

    def do(self, job: Job[ResultT], name: str | None = None) -> Outcome[ResultT]:
        """Do a job, wait for its end, and return its outcome; `name` is by default its title."""
        ...

    def submit(
        self,
        job: Job[StoredArtifact],
        inputs: Sequence[Pending[StoredArtifact]] = (),
        retries: int = RETRIES,
    ) -> Pending[StoredArtifact]:
        """Submit a job that starts as soon as its inputs are made."""
        ...

    def as_ended(
        self, submitted: Iterable[Pending[StoredArtifact]]
    ) -> Iterator[Pending[StoredArtifact]]:
        """Yield submitted jobs in the order in which they end."""
        ...

    def show(self, text: str, key: str, description: str) -> None:
        """Show a text in Markdown on the page of the run."""
        ...

    def emit(self, event: str, resource: dict[str, str], payload: dict[str, Any]) -> None:
        """Emit an event."""
        ...
