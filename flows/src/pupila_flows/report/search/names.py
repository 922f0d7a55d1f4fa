"""Draws slanted names above a plot, each with a line to its point."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pupila_flows.report import formatting
from pupila_flows.report.plots import svg
from pupila_flows.report.plots.axes import spread_out

_GAP, _CHARACTER, _CHARACTERS = 13.5, 6.0, 10
_BEND, _ABOVE = 6.0, 10.0
_SLANT = -55


def height(names: Sequence[str]) -> float:
    """Return the height that these names need above a plot."""
    longest = max((len(name) for name in names), default=0)
    return _BEND + _ABOVE + _CHARACTER * min(longest, _CHARACTERS) + 10


def side_by_side(positions: Sequence[float], right: float) -> list[float]:
    """Return where to write the names of points at `positions`, so that names do not overlap."""
    return spread_out(positions, _GAP, min(positions, default=0.0), right)


def tag(name: str, label_x: float, x: float, top: float, y: float) -> Markup:
    """Write a name above `top` at `label_x`, with a line to the point at `x` and `y`."""
    base = top - _BEND - 2
    return Markup("").join(
        [
            svg.path([(label_x, base), (x, top), (x, y)], "leader"),
            svg.element(
                "text",
                formatting.shortened(name, _CHARACTERS),
                class_="name",
                transform=f"translate({label_x + 3:.2f} {base - 2:.2f}) rotate({_SLANT})",
            ),
        ]
    )
