"""Measured values as columns of numbers: each estimate with the ends of its 95 % interval."""

from __future__ import annotations

from typing import Any

from pupila.evaluation import Estimate, Measurement, Metrics
from pupila.fidelity import Fidelity


def estimate_columns(name: str, estimate: Estimate | None) -> dict[str, float]:
    """Return a value and its interval as `name`, `name_low`, `name_high`; empty if it is None."""
    if estimate is None:
        return {}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def metrics_columns(metrics: Metrics) -> dict[str, Any]:
    """Return what was measured of a model's answers; what the task does not have is left out."""
    point = metrics.point
    columns = {
        "images": metrics.images,
        **estimate_columns("accuracy", metrics.accuracy),
        **estimate_columns("auc", metrics.auc),
        **estimate_columns("sensitivity", point and point.sensitivity),
        **estimate_columns("specificity", point and point.specificity),
        **({"threshold": point.threshold} if point else {}),
        **estimate_columns("ece", metrics.ece),
        **estimate_columns("brier", metrics.brier),
    }
    for figure in (*metrics.figures, *metrics.added):
        columns |= estimate_columns(figure.name, figure.estimate)
    return columns


def cost_columns(measurement: Measurement) -> dict[str, Any]:
    """Return the size, speed and memory of a model."""
    cost = measurement.cost
    return {
        "size_bytes": cost.size_bytes,
        "gzip_bytes": cost.gzip_bytes,
        "latency_median_ms": cost.latency.median_ms,
        "peak_memory_bytes": cost.peak_memory_bytes,
        "parameters": cost.parameters,
        "runtime": measurement.runtime,
    }


def fidelity_columns(fidelity: Fidelity) -> dict[str, Any]:
    """Return how closely a model follows its teacher."""
    return {
        **estimate_columns("correlation", fidelity.correlation),
        **estimate_columns("same_answer", fidelity.labels),
        **estimate_columns("mean_difference", fidelity.mean_difference),
    }
