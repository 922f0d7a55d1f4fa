"""Writes the results of models on external sets as rows of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pupila.evaluation import Estimate, Metrics
from pupila.external import ExternalMetrics
from pupila.task import TaskMethods
from pupila_flows.report import formatting
from pupila_flows.report.figures import figure_row, number, titled
from pupila_flows.results import Entry, ExternalSet, RunResult

_COMPARED = {"accuracy": "accuracy", "error": "error", "auc": "AUC"}
_RIGHT = "accuracy"


def external_rows(result: RunResult) -> list[dict[str, str]]:
    """Return one row per external set and model, for the first seed only."""
    shown = [entry for entry in result.entries if entry.repeats is None]
    rows = [
        {"external set": images.name} | row
        for images in result.external
        for row in rows_on(images, shown, result.data.methods)
    ]
    return with_all_columns(rows)


def with_all_columns(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Give all rows the same columns, in the order of the longest row; a missing value is empty."""
    longest = sorted(rows, key=len, reverse=True)
    columns = list(dict.fromkeys(name for row in longest for name in row))
    return [{name: row.get(name, "") for name in columns} for row in rows]


def rows_on(
    images: ExternalSet, entries: Sequence[Entry], task: TaskMethods
) -> list[dict[str, str]]:
    """Return one row per model on one external set."""
    rows: list[dict[str, str]] = []
    for entry in entries:
        for external in entry.external:
            if external.name == images.name:
                row = {"name": entry.name}
                if external.evaluation:
                    row |= metrics_row(external.evaluation.figures, external.differences, task)
                rows.append(row | ({"failure": external.error} if external.error else {}))
    return rows


def metrics_row(
    external_metrics: ExternalMetrics, differences: Mapping[str, Estimate], task: TaskMethods
) -> dict[str, str]:
    """Return the columns for one model on one set of images: quality, then `fidelity_row`."""
    row, metrics = {"images": str(external_metrics.images)}, external_metrics.metrics
    if metrics:
        row |= quality_row(metrics, task)
    return row | fidelity_row(external_metrics, differences, task)


def quality_row(metrics: Metrics, task: TaskMethods) -> dict[str, str]:
    """Return the metrics of one model as text: the fraction right, then all figures."""
    right = {task.right_title: interval(metrics.accuracy)}
    if not task.has_classes:
        return right | figure_row((*metrics.figures, *metrics.added))
    point = metrics.point
    return right | {
        "AUC": interval(metrics.auc) if metrics.auc else "",
        "sensitivity": interval(point.sensitivity) if point else "",
        "specificity": interval(point.specificity) if point else "",
        "at threshold": formatting.threshold(metrics) if point else "",
        "ECE": f"{metrics.ece.value:.3f}" if metrics.ece else "",
        **{titled(figure): number(figure.estimate.value, figure.unit) for figure in metrics.added},
    }


def fidelity_row(
    external_metrics: ExternalMetrics, differences: Mapping[str, Estimate], task: TaskMethods
) -> dict[str, str]:
    """Return the columns that compare a model with its teacher; empty if it has no teacher."""
    fidelity = external_metrics.fidelity
    row = {
        f"{task.right_title if field == _RIGHT else title} minus teacher's": signed(
            differences[field]
        )
        for field, title in _COMPARED.items()
        if field in differences
    }
    if fidelity:
        decimals = 3 if task.has_classes else 4
        row |= {
            "correlation": interval(fidelity.correlation),
            task.same_title: interval(fidelity.labels),
            f"{task.compared_title} minus teacher's": signed(fidelity.mean_difference, decimals),
        }
    if fidelity and fidelity.colour and fidelity.reference_colour:
        row |= {
            "by colour": interval(fidelity.colour),
            "teacher by colour": interval(fidelity.reference_colour),
        }
    return row


def external_lines(result: RunResult) -> list[str]:
    """Return a sentence about each external set, then a sentence that explains the columns."""
    lines = [describe_set(images) for images in result.external]
    if any(entry.external for entry in result.entries):
        lines.append(legend(result.data.methods))
    return lines


def legend(task: TaskMethods) -> str:
    """Explain the columns of `fidelity_row`."""
    return (
        f"correlation: of the {task.compared_title}s with the teacher's; by colour: fraction of "
        f"their variance that the mean colour of an image alone explains."
    )


def describe_set(images: ExternalSet, *, files: bool = True) -> str:
    """Say how many images a set has, and how many files are unreadable.

    With `files`, the first unreadable file is named.
    """
    counts = ", ".join(f"{count} {name}" for name, count in (images.counts or {}).items())
    patients = f" of {images.patients:,} patients" if images.patients is not None else ""
    skipped = ""
    if images.skipped:
        first = images.skipped[0]
        skipped = f"; {formatting.plural(len(images.skipped), 'file')} cannot be read"
        skipped += f", first {first.path} ({first.reason})" if files else ""
    number = formatting.plural(images.images, "image")
    return f"{images.name}: {number}{patients} ({counts or 'no labels'}){skipped}."


def interval(estimate: Estimate) -> str:
    """Write a number with its interval: `0.953 (0.903–0.982)`."""
    return f"{estimate.value:.3f} ({estimate.low:.3f}–{estimate.high:.3f})"


def signed(estimate: Estimate, decimals: int = 3) -> str:
    """Write a difference with its interval: `−0.171 (−0.230 to −0.118)`."""
    value, low, high = (
        f"{number:+.{decimals}f}" for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} ({low} to {high})".replace("-", "−")
