"""How far a search is, in words: a line for a terminal, and below it the front as a table."""

from __future__ import annotations

from collections.abc import Sequence

from pupila_search.candidates import Candidate

_SHOWN = 12
"""Models of the front that are listed; the rest are counted."""


def standing(tried: int, front: Sequence[Candidate], best: Candidate | None) -> str:
    """Return a line, and below it the front in Markdown, the most accurate first.

    `best` is the most accurate candidate within the bytes, where there is one.
    """
    first = f"{tried} candidates, {len(front)} on the front"
    first += f", best: {_short(best)}" if best else ", none within the bytes"
    return f"{first}\n\n{_table(front)}" if front else first


def _short(candidate: Candidate) -> str:
    accuracy = candidate.figures.validation_accuracy
    return f"{candidate.name} {accuracy:.1%} in {candidate.bytes / 1000:.0f} kB"


def _table(front: Sequence[Candidate]) -> str:
    ordered = sorted(front, key=lambda each: -each.figures.validation_accuracy)
    lines = [
        "| model | generation | validation accuracy | 95 % interval | int8 file | latency |",
        "|---|---:|---:|---:|---:|---:|",
        *map(_row, ordered[:_SHOWN]),
    ]
    left = len(ordered) - _SHOWN
    return "\n".join(lines) + (f"\n\nand {left} more" if left > 0 else "")


def _row(candidate: Candidate) -> str:
    figures = candidate.figures
    cells = (
        candidate.name,
        f"{candidate.born}",
        f"{figures.validation_accuracy:.1%}",
        f"{100 * figures.low:.1f}–{100 * figures.high:.1f}",
        f"{candidate.bytes / 1000:.1f} kB",
        f"{candidate.latency_ms:.2f} ms" if candidate.latency_ms else "–",
    )
    return f"| {' | '.join(cells)} |"
