"""The metrics of a sweep as CSV: one row per evaluated entry and seed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from pupila.evaluation import Evaluation
from pupila.task import TaskMethods
from pupila_flows.report.figures import known_added, known_figures
from pupila_flows.report.sweep.axis import write_value
from pupila_flows.report.sweep.lines import roles
from pupila_flows.results import Entry, RunResult


def metrics_csv(result: RunResult) -> str:
    """Return a sweep's metrics as CSV; fractions are 0..1, and unknown values are empty."""
    evaluated = [(entry, entry.evaluation) for entry in result.entries if entry.evaluation]
    task = result.data.methods
    known = known_figures(evaluation.metrics for _, evaluation in evaluated)
    names = ["auc"] if task.has_classes else [figure.name for figure in known]
    names += [figure.name for figure in known_added(entry.metrics for _, entry in evaluated)]
    columns = _columns(names, task)
    stream = io.StringIO()
    table = csv.writer(stream)
    table.writerow(["name", "role", *result.sweep, *columns])
    role = roles(result)
    for entry, evaluation in evaluated:
        settings = {key: write_value(value) for key, value in entry.settings.items()}
        row = [entry.name, role[entry.name], *(settings.get(key, "") for key in result.sweep)]
        table.writerow([*row, *_values(entry, evaluation, names)])
    return stream.getvalue()


def _columns(names: Sequence[str], task: TaskMethods) -> list[str]:
    """Return the columns of `_values`, given the names of the figures."""
    right = task.right_title.replace(" ", "_")
    return [
        "seed",
        f"validation_{right}",
        "validation_fidelity",
        *(f"test_{right}{end}" for end in ("", "_low", "_high")),
        *(f"test_{name}" for name in names),
        "test_fidelity",
        "size_bytes",
        "artifact",
    ]


def _values(entry: Entry, evaluation: Evaluation, names: Sequence[str]) -> list[object]:
    metrics, validation, shift = evaluation.metrics, evaluation.validation, entry.shift
    figures = {figure.name: figure.estimate.value for figure in (*metrics.figures, *metrics.added)}
    if metrics.auc:
        figures["auc"] = metrics.auc.value
    return [
        entry.seed,
        validation.value if validation else None,
        shift.validation.value if shift and shift.validation else None,
        *(metrics.accuracy.value, metrics.accuracy.low, metrics.accuracy.high),
        *(figures.get(name) for name in names),
        shift.value.value if shift else None,
        evaluation.cost.size_bytes,
        entry.artifact,
    ]
