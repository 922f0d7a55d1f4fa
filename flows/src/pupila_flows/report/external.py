"""Writes the results of models on external sets as rows of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pupila.evaluation import Estimate
from pupila.external import ExternalMetrics
from pupila_flows.report import formatting
from pupila_flows.results import Entry, ExternalSet, RunResult

_COMPARED = {"accuracy": "accuracy", "auc": "AUC"}


def external_rows(result: RunResult) -> list[dict[str, str]]:
    """Return one row per external set and model, for the first seed only."""
    shown = [entry for entry in result.entries if entry.repeats is None]
    rows = [
        {"external set": images.name} | row
        for images in result.external
        for row in rows_on(images, shown)
    ]
    return with_all_columns(rows)


def with_all_columns(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Give all rows the same columns, in the order of the longest row; a missing value is empty."""
    longest = sorted(rows, key=len, reverse=True)
    columns = list(dict.fromkeys(name for row in longest for name in row))
    return [{name: row.get(name, "") for name in columns} for row in rows]


def rows_on(images: ExternalSet, entries: Sequence[Entry]) -> list[dict[str, str]]:
    """Return one row per model on one external set."""
    rows: list[dict[str, str]] = []
    for entry in entries:
        for external in entry.external:
            if external.name == images.name:
                row = {"name": entry.name}
                if external.evaluation:
                    row |= metrics_row(external.evaluation.figures, external.differences)
                rows.append(row | ({"failure": external.error} if external.error else {}))
    return rows


def metrics_row(
    external_metrics: ExternalMetrics, differences: Mapping[str, Estimate]
) -> dict[str, str]:
    """Return the columns for one model on one set of images: `quality_row`, then `fidelity_row`."""
    return quality_row(external_metrics) | fidelity_row(external_metrics, differences)


def quality_row(external_metrics: ExternalMetrics) -> dict[str, str]:
    """Return the number of images and, if they have labels, the metrics that need labels."""
    metrics = external_metrics.metrics
    row = {"images": str(external_metrics.images)}
    if metrics is None:
        return row
    point = metrics.point
    return row | {
        "accuracy": interval(metrics.accuracy),
        "AUC": interval(metrics.auc) if metrics.auc else "",
        "sensitivity": interval(point.sensitivity) if point else "",
        "specificity": interval(point.specificity) if point else "",
        "at threshold": formatting.threshold(metrics) if point else "",
        "ECE": f"{metrics.ece.value:.3f}" if metrics.ece else "",
    }


def fidelity_row(
    external_metrics: ExternalMetrics, differences: Mapping[str, Estimate]
) -> dict[str, str]:
    """Return the columns that compare a model with its teacher; empty if it has no teacher."""
    fidelity = external_metrics.fidelity
    row = {
        f"{title} minus teacher's": signed(differences[field])
        for field, title in _COMPARED.items()
        if field in differences
    }
    if fidelity:
        row |= {
            "correlation": interval(fidelity.correlation),
            "same class": interval(fidelity.labels),
            "logit minus teacher's": signed(fidelity.mean_difference),
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
        lines.append(LEGEND)
    return lines


LEGEND = (
    "correlation: of the logits with the teacher's; by colour: fraction of their variance that the "
    "mean colour of an image alone explains."
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


def signed(estimate: Estimate) -> str:
    """Write a difference with its interval: `−0.171 (−0.230 to −0.118)`."""
    low, high = f"{estimate.low:+.3f}", f"{estimate.high:+.3f}"
    return f"{estimate.value:+.3f} ({low} to {high})".replace("-", "−")
