"""Draws a reliability diagram, with the number of images in each bin below it."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pupila.calibration import ReliabilityBin
from pupila_flows.report.plots import svg
from pupila_flows.report.plots.axes import Axis
from pupila_flows.report.plots.frame import Frame

_SIDE, _LEFT, _TOP = 220.0, 40.0, 8.0
_BARS, _GAP = 46.0, 34.0
"""Height of the bars that show how many images a bin has, and the space above them."""


def draw(bins: Sequence[ReliabilityBin], classes: int, label: str) -> Markup:
    """Draw the fraction right over the confidence, each bin with its interval and its images.

    With few classes, confidence cannot be low, and the axis starts just below what is possible. The
    line from corner to corner is a model whose probabilities are right. Screen readers read
    `label`.
    """
    axis = Axis(max(0, 10 // classes - 1) / 10, 1.0, _LEFT, _LEFT + _SIDE)
    frame = Frame(axis, Axis(0.0, 1.0, _TOP + _SIDE, _TOP))
    points = [(one.confidence, one.right.value) for one in bins]
    marks = [
        frame.drawn("confidence", _tick, _tick),
        frame.line([(axis.low, axis.low), (1, 1)], "chance"),
        *(_whisker(frame, one) for one in bins),
        frame.line(points, "curve"),
        *(frame.dot(x, y, "dot", 3.2) for x, y in points),
        *_bars(axis, bins),
    ]
    height = _TOP + _SIDE + _GAP + _BARS + 4
    return svg.picture(_LEFT + _SIDE + 12, height, label, *marks, class_="roc reliability")


def _whisker(frame: Frame, one: ReliabilityBin) -> Markup:
    x = one.confidence
    return frame.line([(x, one.right.low), (x, one.right.high)], "cross")


def _bars(axis: Axis, bins: Sequence[ReliabilityBin]) -> list[Markup]:
    """Draw a bar for the images of each bin, with their number above it."""
    most, bottom = max(one.images for one in bins), _TOP + _SIDE + _GAP + _BARS
    marks = [svg.line(axis.start, bottom, axis.end, bottom, "axis")]
    for one in bins:
        left, right = axis.position(one.low) + 1, axis.position(one.high) - 1
        height = (_BARS - 12) * one.images / most
        bar = {"x": left, "y": bottom - height, "width": right - left, "height": height}
        above = (left + right) / 2, bottom - height - 3
        marks.append(svg.element("rect", **bar, class_="count"))
        marks.append(svg.text(*above, str(one.images), "tick few", "middle"))
    return marks


def _tick(value: float) -> str:
    return f"{value:.1f}"
