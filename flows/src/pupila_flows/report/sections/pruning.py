"""Size against the fraction right over pruning rounds, if a plugin measured a `PruningCurve`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pupila.measured import PruningCurve, PruningRound
from pupila.task import TaskMethods
from pupila_flows.report import formatting
from pupila_flows.report.lineage import Lineage
from pupila_flows.report.plots import svg
from pupila_flows.results import Entry

_WIDTH, _HEIGHT = 300.0, 176.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 12.0, 12.0, 38.0
_TICKS = 3


@dataclass(frozen=True)
class Curve:
    """The plot of an artifact's pruning rounds, with a sentence about them."""

    artifact: str
    picture: Markup
    sentence: str


def pruning_curves(lineage: Lineage, task: TaskMethods) -> list[Curve]:
    """Return a curve for every artifact that was pruned in rounds."""
    curves = (_curve(entry, task) for entry in lineage.entries.values())
    return [curve for curve in curves if curve]


def _curve(entry: Entry, task: TaskMethods) -> Curve | None:
    measured = entry.measured.read(PruningCurve)
    if measured is None or len(measured.curve) < 2:
        return None
    budget = entry.config.get("budget")
    unpruned = measured.curve[0].validation_accuracy
    lowest = unpruned - budget if isinstance(budget, int | float) else None
    label = f"{formatting.capitalised(task.right_title)} of {entry.name} over its parameters"
    picture = _draw(label, measured.curve, measured.round, lowest)
    return Curve(entry.name, picture, measured.reason)


def _draw(label: str, rounds: Sequence[PruningRound], chosen: int, lowest: float | None) -> Markup:
    accuracies = [pruning_round.validation_accuracy for pruning_round in rounds] + (
        [lowest] if lowest is not None else []
    )
    low = math.floor(100 * min(accuracies) - 0.5) / 100
    high = math.ceil(100 * max(accuracies) + 0.5) / 100
    most = max(pruning_round.parameters for pruning_round in rounds) or 1

    def point(parameters: float, accuracy: float) -> tuple[float, float]:
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * parameters / most
        return x, _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - accuracy) / (high - low)

    marks = [_axes(most, low, high)]
    if lowest is not None:
        marks.append(svg.path([point(0, lowest), point(most, lowest)], "chance"))
    points = [
        point(pruning_round.parameters, pruning_round.validation_accuracy)
        for pruning_round in rounds
    ]
    marks.append(svg.path(points, "curve"))
    marks += [svg.element("circle", cx=x, cy=y, r=3.2, class_="dot") for x, y in points]
    x, y = points[chosen]
    marks.append(svg.element("circle", cx=x, cy=y, r=8, class_="kept"))
    return svg.picture(_WIDTH, _HEIGHT, f"{label}, by round", *marks, class_="roc")


def _axes(most: int, low: float, high: float) -> Markup:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    frame = svg.element(
        "rect", x=_LEFT, y=_TOP, width=right - _LEFT, height=bottom - _TOP, class_="frame"
    )
    marks = [frame]
    for number in range(_TICKS):
        fraction = number / (_TICKS - 1)
        x, y = _LEFT + fraction * (right - _LEFT), bottom - fraction * (bottom - _TOP)
        anchor = "end" if number == _TICKS - 1 else "middle"
        marks.append(
            svg.text(x, bottom + 14, formatting.count(round(fraction * most)), "tick", anchor)
        )
        label = f"{100 * (low + fraction * (high - low)):.1f}"
        marks.append(svg.text(_LEFT - 4, y + 4, label, "tick", "end"))
    middle = (_LEFT + right) / 2
    marks.append(svg.text(middle, bottom + 30, "parameters", "tick", "middle"))
    return Markup("").join(marks)
