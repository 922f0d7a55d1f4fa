"""The figures of a model beside the fraction of right answers: AUC, or those of another task."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pupila.evaluation import Estimate, Figure, Metrics
from pupila.task import TaskMethods
from pupila_flows.report import formatting

AUC = "AUC"
ECE = "calibration error (ECE)"
_DECIMALS, _MOST_DECIMALS = 2, 4
"""Decimals of a figure with a unit: two, or more for two significant digits."""


def known_figures(all_metrics: Iterable[Metrics]) -> list[Figure]:
    """Return every figure that some model has: the first model's figure of each name."""
    figures: dict[str, Figure] = {}
    for metrics in all_metrics:
        for figure in metrics.figures:
            figures.setdefault(figure.name, figure)
    return list(figures.values())


def known_added(all_metrics: Iterable[Metrics]) -> list[Figure]:
    """Return the figure of every metric of a plugin that some model has."""
    figures = [figure for metrics in all_metrics for figure in metrics.added]
    return list({figure.name: figure for figure in reversed(figures)}.values())[::-1]


def listed_figures(metrics: Metrics) -> list[Figure]:
    """Return the figures that are listed in one cell: the calibration error, or the task's figures.

    The metrics of plugins follow.
    """
    ece = [Figure(name="ece", title=ECE, unit="", estimate=metrics.ece)] if metrics.ece else []
    return [*ece, *metrics.figures, *metrics.added]


def main_figure(metrics: Metrics) -> Figure | None:
    """Return the AUC, or the first figure of another task; None if there is none."""
    if metrics.auc:
        return Figure(name="auc", title=AUC, unit="", estimate=metrics.auc)
    return next(iter(metrics.figures), None)


def main_title(task: TaskMethods, all_metrics: Iterable[Metrics]) -> str:
    """Return the title of the main figure; empty if the task has none."""
    if task.has_classes:
        return AUC
    return next((titled(figure) for figure in known_figures(all_metrics)), "")


def titled(figure: Figure) -> str:
    """Write a figure's title with its unit, for the head of a column."""
    return f"{figure.title}, {figure.unit}" if figure.unit else figure.title


def number(value: float, unit: str) -> str:
    """Write a figure's value without its unit: `0.45`, and `0.974` if it has none."""
    return _written(value, _decimals(value, unit))


def interval(estimate: Estimate, unit: str) -> str:
    """Write the interval of a figure as `0.41–0.50`."""
    low, high = _ends(estimate, unit)
    return formatting.NONE if formatting.NONE in (low, high) else f"{low}–{high}"


def with_interval(figure: Figure) -> str:
    """Write a figure without its unit as `0.45 (0.41–0.50)`."""
    return (
        f"{number(figure.estimate.value, figure.unit)} ({interval(figure.estimate, figure.unit)})"
    )


def words(figure: Figure) -> str:
    """Write a figure for a sentence: `median error 0.45 % of the width (0.41 to 0.50)`."""
    low, high = _ends(figure.estimate, figure.unit)
    value = number(figure.estimate.value, figure.unit)
    unit = f" {figure.unit}" if figure.unit else ""
    return f"{figure.title} {value}{unit} ({low} to {high})"


def figure_row(figures: Sequence[Figure]) -> dict[str, str]:
    """Return figures as columns of text, with units in the names of the columns.

    Only the first has its interval, so that all of them fit into a terminal.
    """
    row = {titled(figure): number(figure.estimate.value, figure.unit) for figure in figures}
    return row | {titled(figure): with_interval(figure) for figure in figures[:1]}


def _ends(estimate: Estimate, unit: str) -> tuple[str, str]:
    decimals = _decimals(estimate.value, unit)
    return _written(estimate.low, decimals), _written(estimate.high, decimals)


def _written(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else formatting.NONE


def _decimals(value: float, unit: str) -> int:
    if not unit:
        return 3
    if not math.isfinite(value) or value == 0:
        return _DECIMALS
    return min(_MOST_DECIMALS, max(_DECIMALS, 1 - math.floor(math.log10(abs(value)))))
