"""One line about a model of a run, for the run's log."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.evaluation import Evaluation
from pupila.task import TaskMethods
from pupila_flows.report import formatting
from pupila_flows.report.external import interval
from pupila_flows.results import Entry


def step_line(entry: Entry, task: TaskMethods) -> str:
    """Return a model's size, the fraction right and the time it took to make.

    Example: `pupila: 412 KB, accuracy 0.944 (0.903–0.972), made in 62 s`.
    """
    return f"{entry.name}: {', '.join(_parts(entry, task))}"


def _parts(entry: Entry, task: TaskMethods) -> Iterator[str]:
    measured = entry.evaluation or entry.measurement
    if measured:
        yield formatting.size(measured.cost.size_bytes)
    if isinstance(measured, Evaluation):
        yield f"{task.right_title} {interval(measured.metrics.accuracy)}"
    if entry.cached:
        yield "reused"
    else:
        made = "imported" if entry.kind == "teacher" else "made"
        yield f"{made} in {formatting.duration(entry.seconds)}"
