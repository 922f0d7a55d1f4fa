"""Describes the progress of a search as text: one line, and below it a table."""

from __future__ import annotations

from collections.abc import Sequence

from pupila_search.candidates import Candidate
from pupila_search.multiple_comparisons import MultipleComparisons

_SHOWN = 12
"""Largest number of models in the table; further models of the Pareto front are only counted."""


def describe_progress(
    tried: int, front: Sequence[Candidate], best: Candidate | None, comparisons: MultipleComparisons
) -> str:
    """Return one line of progress, and below it the Pareto front as a Markdown table.

    `tried` is the number of trained candidates. `best` is the best candidate within `max_bytes`;
    None if no candidate is within `max_bytes` yet. `comparisons` corrects the intervals of
    accuracy.
    """
    first = f"{tried} candidates, {len(front)} on the front"
    chosen = f"best on the images that choose: {_short(best)}" if best else "none within the bytes"
    first += f", {chosen}"
    return f"{first}\n\n{_table(front, comparisons)}" if front else first


def _short(candidate: Candidate) -> str:
    metrics = candidate.metrics
    fidelity, accuracy = metrics.validation_fidelity, f"{metrics.validation_accuracy:.1%}"
    shown = accuracy if fidelity is None else f"fidelity {fidelity:.3f}"
    return f"{candidate.name} {shown} in {candidate.bytes / 1000:.0f} kB"


def _table(front: Sequence[Candidate], comparisons: MultipleComparisons) -> str:
    ordered = sorted(front, key=lambda candidate: -candidate.metrics.validation_accuracy)
    lines = [
        "| model | generation | validation accuracy | 95 %, all at once | int8 file | latency |",
        "|---|---:|---:|---:|---:|---:|",
        *(_row(candidate, comparisons) for candidate in ordered[:_SHOWN]),
    ]
    left = len(ordered) - _SHOWN
    return "\n".join(lines) + (f"\n\nand {left} more" if left > 0 else "")


def _row(candidate: Candidate, comparisons: MultipleComparisons) -> str:
    metrics = candidate.metrics
    interval = comparisons.interval(metrics.wrong)
    cells = (
        candidate.name,
        f"{candidate.born}",
        f"{metrics.validation_accuracy:.1%}",
        f"{100 * interval.low:.1f}–{100 * interval.high:.1f}",
        f"{candidate.bytes / 1000:.1f} kB",
        f"{candidate.latency_ms:.2f} ms" if candidate.latency_ms else "–",
    )
    return f"| {' | '.join(cells)} |"
