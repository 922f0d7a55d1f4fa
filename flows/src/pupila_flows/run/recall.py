"""Recognises that a run would change nothing: all its results, its report and its publication.

Then it makes no new run and starts no server, so the answer comes in seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pupila.errors import PupilaError
from pupila_flows.execution.job import Job, JobResult
from pupila_flows.execution.session import recall
from pupila_flows.jobs.artifact_job import StoredArtifact
from pupila_flows.jobs.report import DrawReport, report_digest
from pupila_flows.jobs.run_step import RunStep
from pupila_flows.plan.expand import Node
from pupila_flows.plan.plan import Plan
from pupila_flows.progress import silence
from pupila_flows.recipe.schema import RETRIES
from pupila_flows.registry.addresses import default_address
from pupila_flows.registry.publishing import settled
from pupila_flows.registry.release import Withheld, release_of
from pupila_flows.registry.versions import open_registry
from pupila_flows.report.past_runs import REPORT_NAME
from pupila_flows.results import RunResult
from pupila_flows.run.links import LATEST
from pupila_flows.run.orchestrator import Outcome, Pending
from pupila_flows.run.stages import find_result
from pupila_flows.workspace import Workspace

ResultT = TypeVar("ResultT")

_SILENT = logging.Logger("recall", logging.CRITICAL + 1)
"""The run that follows, if one is needed, logs all that there is to say."""


class NotRemembered(Exception):
    """Raised if the result of a job is not remembered: the job must be done."""


def unchanged_run(
    plan: Plan, nodes: tuple[Node, ...], workspace: Workspace, *, swept: bool = False
) -> Path | None:
    """Return the `result.json` of the last run of a recipe, if a new run would find the same.

    Return None if a job must be done, if something failed, if the registry would change or refuse,
    or if the recipe never ran.

    Raises:
        PupilaError: as `find_result`.
    """
    file = workspace.runs / plan.recipe.name / LATEST / "result.json"
    if not (file.is_file() and file.with_name(REPORT_NAME).is_file()):
        return None
    try:
        last = RunResult.model_validate_json(file.read_text())
    except (OSError, ValueError):  # a new run is made
        return None
    orchestrator = Recall(plan.recipe.threads)
    digest = report_digest(last)
    try:
        with workspace.in_use(), silence():
            unwritten = find_result(plan, nodes, workspace, orchestrator, swept=swept)
            orchestrator.do(DrawReport.of(workspace, file, digest, last.data.task))
    except NotRemembered:
        return None
    if unwritten.broken or report_digest(unwritten.result) != digest:
        return None
    file = file.resolve()
    return file if swept or _stays_published(plan, last, file.parent, workspace) else None


def _stays_published(plan: Plan, last: RunResult, folder: Path, workspace: Workspace) -> bool:
    """Return whether publishing the last run once more would end as it did, and write nothing."""
    section = plan.recipe.publish
    if section is None:
        return True
    before = last.publication
    if before is None:
        return False
    registry = open_registry(plan.registry or default_address(workspace.root))
    try:
        now = settled(registry, release_of(last, folder, section, workspace.store))
    except Withheld as reason:
        return (before.outcome, before.reason) == ("withheld", str(reason))
    except PupilaError:  # the run explains it
        return False
    if now is None or now.registry != before.registry:
        return False
    if now.outcome == "withheld":
        return before.outcome == now.outcome and before.reason == now.reason
    return before.outcome != "withheld" and before.version == now.version


@dataclass(frozen=True)
class _Recalled(Generic[ResultT]):
    """A job whose result is remembered; there is nothing to wait for."""

    result: JobResult[ResultT]
    made = True
    refused = False
    reason = ""

    def wait(self) -> Outcome[ResultT]:
        return self


@dataclass(frozen=True)
class Recall:
    """The orchestrator that does no job: it recalls the results, or raises `NotRemembered`."""

    threads: int
    log = _SILENT

    def call(self, name: str, function: Callable[..., ResultT], *arguments: Any) -> ResultT:
        del name
        return function(*arguments)

    def do(self, job: Job[ResultT], name: str | None = None) -> _Recalled[ResultT]:
        del name
        job = job.with_threads(self.threads)
        known = recall(job, job.key)
        if known is None:
            raise NotRemembered(job.title)
        return _Recalled(JobResult(known, cached=True))

    def submit(
        self,
        job: Job[StoredArtifact],
        inputs: Sequence[Pending[StoredArtifact]] = (),
        retries: int = RETRIES,
    ) -> Pending[StoredArtifact]:
        del retries
        if isinstance(job, RunStep) and inputs:
            job = job.on([made.wait().result.value for made in inputs])
        return self.do(job)

    def as_ended(
        self, submitted: Iterable[Pending[StoredArtifact]]
    ) -> Iterator[Pending[StoredArtifact]]:
        return iter(submitted)

    def show(self, text: str, key: str, description: str) -> None:
        """Show nothing: the run that is recalled has shown it."""

    def emit(self, event: str, resource: dict[str, str], payload: dict[str, Any]) -> None:
        """Emit nothing: nothing has changed."""
