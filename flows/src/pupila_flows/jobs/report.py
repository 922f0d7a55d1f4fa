"""Draw the report of a run or of a sweep from its result file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from pupila.digest import digest_json
from pupila.plugin import CLASSIFICATION, Plugin
from pupila.plugin_registry import installed
from pupila.result_plugins import GateCondition, Metric, ReportSection
from pupila.runtime import Progress
from pupila_flows.execution.job import NOT_KEYED, Job
from pupila_flows.jobs.keys import Code, code_of
from pupila_flows.results import RunResult
from pupila_flows.workspace import Workspace


class ReportPage(BaseModel):
    """Path of a report that was drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    report: Path


def _shown() -> Iterator[Plugin]:
    """Yield the plugins whose sections and titles a report shows."""
    for kind in (ReportSection, Metric, GateCondition):
        yield from installed().all(kind)


class DrawReport(Job[ReportPage]):
    """Draw the report page of a run, or the page, table and plot of a sweep."""

    returns: ClassVar[Any] = ReportPage
    seconds_allowed: ClassVar[float | None] = 600.0

    result: Annotated[Path, NOT_KEYED]
    content: str
    """Digest of what the report shows; an unchanged run reuses the page of an earlier run."""
    code: Code

    @classmethod
    def of(
        cls, workspace: Workspace, path: Path, content: str, task: str = CLASSIFICATION
    ) -> DrawReport:
        """Return the job that draws the result file at `path`; the page is written next to it.

        `task` is what the models of the run learn: the task writes their answers in words.
        """
        return cls(
            workspace=workspace,
            title="report",
            result=path,
            content=content,
            code=code_of(installed().task(task), *_shown(), packages=("pupila-flows",)),
        )

    def run(self, progress: Progress) -> ReportPage:
        from pupila_flows.report.page import write_report
        from pupila_flows.report.sweep import write_sweep

        progress(0, 1, "drawing the report")
        run = RunResult.model_validate_json(self.result.read_text())
        page = (write_sweep if run.sweep else write_report)(run, self.result.parent)
        progress(1, 1, "drew the report")
        return ReportPage(report=page)

    def is_intact(self, result: ReportPage) -> bool:
        return result.report.exists()


def report_digest(result: RunResult) -> str:
    """Return the digest of everything that a run's report shows, except times and durations."""
    entries = [
        entry.model_dump(mode="json", exclude={"cached", "seconds"}) for entry in result.entries
    ]
    gate = result.gate and result.gate.model_dump(mode="json")
    data = result.data.model_dump(mode="json")
    external = [images.model_dump(mode="json") for images in result.external]
    return digest_json([entries, result.recipe_text, data, result.synthetic, gate, external])
