"""The metrics of a sweep as CSV: one row per evaluated entry and seed."""

from __future__ import annotations

import csv
import io

from pupila_flows.report.sweep.axis import write_value
from pupila_flows.report.sweep.lines import Role, roles
from pupila_flows.results import Entry, RunResult

_COLUMNS = (
    "seed",
    "validation_accuracy",
    "validation_fidelity",
    "test_accuracy",
    "test_accuracy_low",
    "test_accuracy_high",
    "test_auc",
    "test_fidelity",
    "size_bytes",
    "artifact",
)


def metrics_csv(result: RunResult) -> str:
    """Return a sweep's metrics as CSV; fractions are 0..1, and unknown values are empty."""
    stream = io.StringIO()
    table = csv.DictWriter(stream, ("name", "role", *result.sweep, *_COLUMNS))
    table.writeheader()
    role = roles(result)
    table.writerows(_row(entry, role[entry.name]) for entry in result.entries if entry.evaluation)
    return stream.getvalue()


def _row(entry: Entry, role: Role) -> dict[str, object]:
    settings = {key: write_value(value) for key, value in entry.settings.items()}
    row: dict[str, object] = {"name": entry.name, "role": role, **settings}
    if entry.evaluation is None:
        return row
    metrics, validation = entry.evaluation.metrics, entry.evaluation.validation
    shift = entry.shift
    return row | {
        "seed": entry.seed,
        "validation_accuracy": validation.value if validation else None,
        "validation_fidelity": shift.validation.value if shift and shift.validation else None,
        "test_accuracy": metrics.accuracy.value,
        "test_accuracy_low": metrics.accuracy.low,
        "test_accuracy_high": metrics.accuracy.high,
        "test_auc": metrics.auc.value if metrics.auc else None,
        "test_fidelity": shift.value.value if shift else None,
        "size_bytes": entry.evaluation.cost.size_bytes,
        "artifact": entry.artifact,
    }
