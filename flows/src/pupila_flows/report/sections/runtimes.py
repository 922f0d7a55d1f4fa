"""The runtime checks of every artifact, row by row."""

from __future__ import annotations

from dataclasses import dataclass

from pupila.task import TaskMethods
from pupila_flows.report import formatting
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.sections.cells import Cell
from pupila_flows.results import RuntimeResult

_COLUMNS = ("Largest difference", "Latency", "Ready after", "First answer", "Download")


@dataclass(frozen=True)
class RuntimeCheckRow:
    """One artifact checked in one runtime; `cells` is empty if it does not run there."""

    artifact: str
    runtime: str
    details: str
    """The runtime's own name, with version, backend and threads."""
    cells: tuple[Cell, ...]
    failure: str


def columns(task: TaskMethods) -> tuple[str, ...]:
    """Return the titles of the cells of a row."""
    return formatting.capitalised(task.same_title), *_COLUMNS


def runtime_rows(lineage: Lineage) -> list[RuntimeCheckRow]:
    """Return a row for each runtime of each artifact, in the order of the run."""
    return [
        RuntimeCheckRow(
            entry.name, result.runtime, _details(result), _cells(result), result.failure or ""
        )
        for entry in lineage.entries.values()
        for result in entry.runtimes
    ]


def _details(result: RuntimeResult) -> str:
    if result.check is None:
        return ""
    threads = formatting.plural(result.check.latency.threads, "thread")
    return f"{result.check.runtime}, {threads}"


def _cells(result: RuntimeResult) -> tuple[Cell, ...]:
    check = result.check
    if check is None:
        return ()
    agreement, startup, latency = check.agreement, check.startup, check.latency
    none = Cell(formatting.NONE)
    return (
        Cell(
            formatting.percent(agreement.labels.value),
            formatting.percent_interval(agreement.labels),
            notes=(f"with {agreement.reference}, {formatting.plural(check.images, 'image')}",),
        )
        if agreement
        else none,
        Cell(formatting.difference(agreement.largest_difference)) if agreement else none,
        Cell(
            formatting.milliseconds(latency.median_ms),
            f"p95 {formatting.milliseconds(latency.p95_ms)}",
        ),
        Cell(formatting.milliseconds(startup.cold_start_ms)) if startup else none,
        Cell(formatting.milliseconds(startup.first_inference_ms)) if startup else none,
        Cell(
            formatting.size(startup.model.brotli_bytes),
            notes=(
                f"{formatting.size(startup.model.gzip_bytes)} gzipped",
                f"and the runtime, {formatting.size(startup.runtime.brotli_bytes)}",
            ),
        )
        if startup
        else none,
    )
