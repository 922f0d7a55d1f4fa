"""The numbers of the results table, by which the page sorts it and which it gives as CSV.

Columns are named as in a sweep's CSV: fractions are 0..1, sizes are in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from pupila.evaluation import Estimate, Evaluation, Latency
from pupila.task import TaskMethods
from pupila_flows.report import figures
from pupila_flows.report.lineage import Lineage
from pupila_flows.results import Entry

Record = Mapping[str, str | int | float | None]
"""The values of one entry by the name of a column; unknown ones are None."""


def records(lineage: Lineage, task: TaskMethods) -> dict[str, Record]:
    """Return the values of every entry by its name, all with the same columns."""
    values = {name: _record(entry, task) for name, entry in lineage.entries.items()}
    columns = dict.fromkeys(column for record in values.values() for column in record)
    return {name: columns | record for name, record in values.items()}


def right_key(task: TaskMethods) -> str:
    """Return the column of the fraction right: `test_accuracy`."""
    return f"test_{_right(task)}"


def _record(entry: Entry, task: TaskMethods) -> dict[str, str | int | float | None]:
    measurement = entry.evaluation or entry.measurement
    cost = measurement.cost if measurement else None
    return {
        "name": entry.name,
        "uses": entry.uses,
        "inputs": " ".join(entry.inputs),
        "seed": entry.seed,
        "format": measurement and measurement.format,
        "runtime": measurement and measurement.runtime,
        "size_bytes": cost and cost.size_bytes,
        "gzip_bytes": cost and cost.gzip_bytes,
        "parameters": cost and cost.parameters,
        "macs": cost and cost.macs,
        "peak_memory_bytes": cost and cost.peak_memory_bytes,
        **_of_latency(cost.latency if cost else None),
        **(_of_evaluation(entry.evaluation, task) if entry.evaluation else {}),
        "artifact": entry.artifact,
    }


def _of_latency(latency: Latency | None) -> dict[str, float | None]:
    return {
        "latency_median_ms": latency and latency.median_ms,
        "latency_p95_ms": latency and latency.p95_ms,
        "threads": latency and latency.threads,
    }


def _of_evaluation(
    evaluation: Evaluation, task: TaskMethods
) -> dict[str, str | int | float | None]:
    metrics, point, agreement = evaluation.metrics, evaluation.metrics.point, evaluation.agreement
    estimates = {
        right_key(task): metrics.accuracy,
        "test_auc": metrics.auc,
        "test_sensitivity": point and point.sensitivity,
        "test_specificity": point and point.specificity,
        **{f"test_{figure.name}": figure.estimate for figure in figures.listed_figures(metrics)},
        "test_agreement": agreement and agreement.labels,
    }
    values = {
        name: value
        for title, estimate in estimates.items()
        if estimate
        for name, value in _of_estimate(title, estimate).items()
    }
    validation = evaluation.validation
    return {
        "test_images": metrics.images,
        f"validation_{_right(task)}": validation and validation.value,
        **values,
        "threshold": point and point.threshold,
        "reference": agreement and agreement.reference,
    }


def _of_estimate(name: str, estimate: Estimate) -> dict[str, float | None]:
    values = {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return {title: value if isfinite(value) else None for title, value in values.items()}


def _right(task: TaskMethods) -> str:
    return task.right_title.replace(" ", "_")
