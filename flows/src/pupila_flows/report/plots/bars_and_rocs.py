"""Interval bars, latency bars and ROC curves, drawn as SVG in the colours of the page."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pupila.evaluation import Estimate, Latency, OperatingPoint
from pupila_flows.report.plots import svg

_Points = list[tuple[float, float]]


def interval_bar(estimate: Estimate, low: float, high: float) -> Markup:
    """Draw a value with its interval on a scale from `low` to `high` that fills the table cell."""
    if not all(math.isfinite(number) for number in (estimate.value, estimate.low, estimate.high)):
        return Markup("")
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return 2 + 96 * (value - low) / span

    return svg.element(
        "svg",
        svg.line(0, 5, 100, 5, "scale"),
        svg.line(x(estimate.low), 5, x(estimate.high), 5, "span"),
        svg.line(x(estimate.value), 1, x(estimate.value), 9, "value"),
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        class_="interval",
        aria_hidden="true",
    )


def latency_bar(latency: Latency, longest_ms: float) -> Markup:
    """Draw a latency: the median as a bar from zero, the 95th percentile as the end of a whisker.

    The scale ends at `longest_ms`.
    """
    scale = 100 / (longest_ms or 1.0)
    median, p95 = latency.median_ms * scale, latency.p95_ms * scale
    return svg.element(
        "svg",
        svg.element("rect", x=0, y=1, width=median, height=8, class_="bar"),
        svg.line(median, 5, p95, 5, "whisker"),
        svg.line(p95, 2, p95, 8, "whisker"),
        viewBox="0 0 101 10",
        preserveAspectRatio="none",
        class_="latency",
        aria_hidden="true",
    )


def roc_points(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> _Points:
    """Return the corners (1 - specificity, sensitivity) of the ROC curve, from (0, 0) to (1, 1).

    `positive` says for each image whether it is of the positive class, and `scores` has its score,
    both `(images,)`. Images with equal scores form a single segment, so ties are drawn as slopes.
    """
    order = np.argsort(-scores, kind="stable")
    truth, ordered = positive[order], scores[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(truth)[last_of_tie] / max(1, int(truth.sum()))
    alarms = np.cumsum(~truth)[last_of_tie] / max(1, int((~truth).sum()))
    pairs = zip(alarms.tolist(), hits.tolist(), strict=True)
    return _corners([(0.0, 0.0), *pairs])


def _corners(points: _Points) -> _Points:
    """Drop points on a straight line between their neighbours."""
    kept = points[:1]
    for point, following in pairwise(points[1:]):
        (x0, y0), (x1, y1), (x2, y2) = kept[-1], point, following
        if abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)) > 1e-12:
            kept.append(point)
    return kept + points[-1:]


_ROC_SIDE = 132.0
_ROC_LEFT, _ROC_TOP, _ROC_BOTTOM = 30.0, 8.0, 32.0


def roc(
    curve: _Points, teacher: _Points | None, point: OperatingPoint | None, label: str
) -> Markup:
    """Draw a model's ROC curve and operating point, in front of the teacher's ROC curve.

    The operating point is drawn with the intervals of sensitivity and specificity. `label` is the
    description of the plot for screen readers.
    """
    marks = [svg.path(_roc_positions([(0, 0), (1, 1)]), "chance")]
    if teacher:
        marks.append(svg.path(_roc_positions(teacher), "teacher-curve"))
    marks.append(svg.path(_roc_positions(curve), "curve"))
    if point:
        marks.append(_operating_point(point))
    width = _ROC_LEFT + _ROC_SIDE + 8
    height = _ROC_TOP + _ROC_SIDE + _ROC_BOTTOM
    return svg.picture(width, height, label, _roc_axes(), *marks, class_="roc")


def _roc_positions(points: _Points) -> _Points:
    return [(_ROC_LEFT + x * _ROC_SIDE, _ROC_TOP + (1 - y) * _ROC_SIDE) for x, y in points]


def _roc_axes() -> Markup:
    right, bottom = _ROC_LEFT + _ROC_SIDE, _ROC_TOP + _ROC_SIDE
    middle = _ROC_LEFT + _ROC_SIDE / 2
    return Markup("").join(
        [
            svg.element(
                "rect", x=_ROC_LEFT, y=_ROC_TOP, width=_ROC_SIDE, height=_ROC_SIDE, class_="frame"
            ),
            svg.text(_ROC_LEFT - 4, _ROC_TOP + 9, "1", "tick", "end"),
            svg.text(_ROC_LEFT - 4, bottom, "0", "tick", "end"),
            svg.text(right, bottom + 13, "1", "tick", "end"),
            svg.text(middle, bottom + 26, "1 − specificity", "tick", "middle"),
            svg.element(
                "text",
                "sensitivity",
                class_="tick",
                text_anchor="middle",
                transform=f"translate(12 {_ROC_TOP + _ROC_SIDE / 2:g}) rotate(-90)",
            ),
        ]
    )


def _operating_point(point: OperatingPoint) -> Markup:
    """Draw a dot with a cross whose arms are the intervals of both coordinates."""
    sensitivity, specificity = point.sensitivity, point.specificity
    x, y = 1 - specificity.value, sensitivity.value
    ends: _Points = [(1 - specificity.high, y), (1 - specificity.low, y)]
    rises: _Points = [(x, sensitivity.low), (x, sensitivity.high)]
    ((dot_x, dot_y),) = _roc_positions([(x, y)])
    return Markup("").join(
        [
            svg.path(_roc_positions(ends), "cross"),
            svg.path(_roc_positions(rises), "cross"),
            svg.element("circle", cx=dot_x, cy=dot_y, r=3.2, class_="dot"),
        ]
    )
