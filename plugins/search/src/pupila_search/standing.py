"""How far a search is, in words: a line for a terminal, and below it the front as a table."""

from __future__ import annotations

from collections.abc import Sequence

from pupila_search.candidates import Candidate
from pupila_search.luck import Luck

_SHOWN = 12
"""Models of the front that are listed; the rest are counted."""


def standing(tried: int, front: Sequence[Candidate], best: Candidate | None, luck: Luck) -> str:
    """Return a line, and below it the front in Markdown, the most accurate first.

    `best` is the best candidate within the bytes, where there is one.
    """
    first = f"{tried} candidates, {len(front)} on the front"
    chosen = f"best on the images that choose: {_short(best)}" if best else "none within the bytes"
    first += f", {chosen}"
    return f"{first}\n\n{_table(front, luck)}" if front else first


def _short(candidate: Candidate) -> str:
    figures = candidate.figures
    fidelity, accuracy = figures.validation_fidelity, f"{figures.validation_accuracy:.1%}"
    shown = accuracy if fidelity is None else f"fidelity {fidelity:.3f}"
    return f"{candidate.name} {shown} in {candidate.bytes / 1000:.0f} kB"


def _table(front: Sequence[Candidate], luck: Luck) -> str:
    ordered = sorted(front, key=lambda each: -each.figures.validation_accuracy)
    lines = [
        "| model | generation | validation accuracy | 95 %, all at once | int8 file | latency |",
        "|---|---:|---:|---:|---:|---:|",
        *(_row(each, luck) for each in ordered[:_SHOWN]),
    ]
    left = len(ordered) - _SHOWN
    return "\n".join(lines) + (f"\n\nand {left} more" if left > 0 else "")


def _row(candidate: Candidate, luck: Luck) -> str:
    figures = candidate.figures
    interval = luck.interval(figures.wrong)
    cells = (
        candidate.name,
        f"{candidate.born}",
        f"{figures.validation_accuracy:.1%}",
        f"{100 * interval.low:.1f}–{100 * interval.high:.1f}",
        f"{candidate.bytes / 1000:.1f} kB",
        f"{candidate.latency_ms:.2f} ms" if candidate.latency_ms else "–",
    )
    return f"| {' | '.join(cells)} |"
