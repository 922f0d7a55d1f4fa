"""Cells of tables: numbers as they are shown, with intervals and notes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from markupsafe import Markup

from pupila.evaluation import Figure
from pupila_flows.report import figures, formatting

FIGURES = "Figures"
"""Title of the column that lists several figures."""


@dataclass(frozen=True)
class Cell:
    """A number as it is shown: its value, interval and notes."""

    value: str
    interval: str = ""
    bar: Markup = field(default_factory=Markup)
    notes: tuple[str, ...] = ()
    label: str = ""
    """Name of the value, if the cell shows several."""
    beside: tuple[Cell, ...] = ()
    """Further values in the same cell, which must be read together with this one."""
    listed: tuple[Cell, ...] = ()
    """Figures that are listed in this cell instead of a value of its own, each with a label."""


def figure_cell(figure: Figure) -> Cell:
    """Show a figure with its interval and title, without a bar."""
    value = figures.number(figure.estimate.value, figure.unit)
    return Cell(value, figures.interval(figure.estimate, figure.unit), label=figures.titled(figure))


def listed(cells: Iterable[Cell]) -> Cell:
    """Return a cell that lists others; a dash without any."""
    return Cell(formatting.NONE, listed=tuple(cells))
