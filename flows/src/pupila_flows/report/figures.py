"""The figures, drawn by hand as SVG: no fonts, no scripts, and the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pupila.evaluation import Estimate, Latency, OperatingPoint
from pupila_flows.report import formats, svg

_Points = list[tuple[float, float]]


def interval_bar(estimate: Estimate, low: float, high: float) -> Markup:
    """Draw an interval with its value on a scale `low`..`high`, as wide as its cell."""
    if not all(math.isfinite(number) for number in (estimate.value, estimate.low, estimate.high)):
        return Markup("")
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return 2 + 96 * (value - low) / span

    return svg.element(
        "svg",
        svg.line(0, 5, 100, 5, "scale"),
        svg.line(place(estimate.low), 5, place(estimate.high), 5, "span"),
        svg.line(place(estimate.value), 1, place(estimate.value), 9, "value"),
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        class_="interval",
        aria_hidden="true",
    )


def latency_bar(latency: Latency, longest_ms: float) -> Markup:
    """Draw the median as a bar and the 95th percentile as a whisker, from zero on."""
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
    """Return the ROC curve as (1 - specificity, sensitivity), corners only, from (0, 0) to (1, 1).

    Images of equal score move together, so that ties are drawn as slopes.
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
    """Draw one ROC curve over its teacher's, with the operating point and its two intervals."""
    marks = [svg.path(_roc_places([(0, 0), (1, 1)]), "chance")]
    if teacher:
        marks.append(svg.path(_roc_places(teacher), "teacher-curve"))
    marks.append(svg.path(_roc_places(curve), "curve"))
    if point:
        marks.append(_operating_point(point))
    width = _ROC_LEFT + _ROC_SIDE + 8
    height = _ROC_TOP + _ROC_SIDE + _ROC_BOTTOM
    return svg.picture(width, height, label, _roc_axes(), *marks, class_="roc")


def _roc_places(points: _Points) -> _Points:
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
    """Draw a dot with a cross as wide and high as the intervals."""
    sensitivity, specificity = point.sensitivity, point.specificity
    x, y = 1 - specificity.value, sensitivity.value
    ends: _Points = [(1 - specificity.high, y), (1 - specificity.low, y)]
    rises: _Points = [(x, sensitivity.low), (x, sensitivity.high)]
    ((dot_x, dot_y),) = _roc_places([(x, y)])
    return Markup("").join(
        [
            svg.path(_roc_places(ends), "cross"),
            svg.path(_roc_places(rises), "cross"),
            svg.element("circle", cx=dot_x, cy=dot_y, r=3.2, class_="dot"),
        ]
    )


@dataclass(frozen=True)
class Spot:
    """One artifact in the plot of size against quality."""

    name: str
    size_bytes: int
    quality: Estimate
    style: str
    """Class of the style sheet: teacher, pupil, control or chosen."""


_PLOT_WIDTH, _PLOT_HEIGHT = 960.0, 230.0
_PLOT_LEFT, _PLOT_RIGHT = 52.0, 150.0
_LANE, _CHARACTER = 17.0, 6.9
_LABEL_CHARACTERS = 22


def size_against_quality(spots: list[Spot], quality: str) -> Markup:
    """Draw each artifact's quality with its interval over its size on a logarithmic axis.

    Names stand above the plot in lanes, tied by a line to their points, so none hides another.
    """
    low, high = _quality_range(spots)
    scale = _LogScale.of([spot.size_bytes for spot in spots])
    lanes = _lanes([(scale.place(spot.size_bytes), shortened(spot.name)) for spot in spots])
    top = 14 + _LANE * (max(lanes) + 1)

    def height(value: float) -> float:
        return top + 8 + (_PLOT_HEIGHT - 16) * (high - value) / (high - low)

    marks = [_plot_axes(scale, top, low, high, quality)]
    for spot, lane in sorted(zip(spots, lanes, strict=True), key=lambda pair: pair[0].style):
        x = scale.place(spot.size_bytes)
        marks.append(_spot(spot, x, height, top - 8 - _LANE * lane))
    label = f"{quality} over size of {formats.listed([spot.name for spot in spots])}"
    bottom = top + _PLOT_HEIGHT + 40
    return svg.picture(_PLOT_WIDTH, bottom, label, *marks, class_="scatter")


def _spot(spot: Spot, x: float, height: Callable[[float], float], label_y: float) -> Markup:
    estimate = spot.quality
    low, value, high = (height(each) for each in (estimate.low, estimate.value, estimate.high))
    interval = formats.score_interval(estimate)
    title = f"{spot.name}: {formats.score(estimate.value)} ({interval}), "
    return svg.element(
        "g",
        svg.element("title", title + formats.size(spot.size_bytes)),
        svg.line(x, label_y - 9, x, high, "leader"),
        svg.line(x, low, x, high, "error"),
        svg.line(x - 4, low, x + 4, low, "error"),
        svg.line(x - 4, high, x + 4, high, "error"),
        _marker(x, value, spot.style),
        svg.text(x + 4, label_y, shortened(spot.name), "spot-name"),
        class_=f"spot {spot.style}",
    )


def _marker(x: float, y: float, style: str) -> Markup:
    """Tell kinds apart by shape as well as by colour."""
    if style == "teacher":
        return svg.element("rect", x=x - 5, y=y - 5, width=10, height=10, class_="mark")
    if style == "control":
        corners = f"{x:.2f},{y - 6.5:.2f} {x + 6.5:.2f},{y + 5:.2f} {x - 6.5:.2f},{y + 5:.2f}"
        return svg.element("polygon", points=corners, class_="mark")
    return svg.element("circle", cx=x, cy=y, r=7 if style == "chosen" else 5.2, class_="mark")


def _plot_axes(scale: _LogScale, top: float, low: float, high: float, quality: str) -> Markup:
    bottom = top + _PLOT_HEIGHT
    right = _PLOT_WIDTH - 10
    marks = [svg.line(_PLOT_LEFT, bottom, right, bottom, "axis")]
    for value in _ticks(low, high):
        y = top + 8 + (_PLOT_HEIGHT - 16) * (high - value) / (high - low)
        marks.append(svg.line(_PLOT_LEFT, y, right, y, "grid"))
        marks.append(svg.text(_PLOT_LEFT - 6, y + 4, f"{value:.2f}", "tick", "end"))
    for size_bytes in scale.ticks():
        x = scale.place(size_bytes)
        marks.append(svg.line(x, bottom, x, bottom + 5, "axis"))
        marks.append(svg.text(x, bottom + 19, formats.round_size(size_bytes), "tick", "middle"))
    marks.append(svg.text(_PLOT_LEFT, bottom + 36, "size on disk, logarithmic →", "tick"))
    marks.append(svg.text(4, top - 2, quality, "tick"))
    return Markup("").join(marks)


@dataclass(frozen=True)
class _LogScale:
    low: float
    high: float

    @classmethod
    def of(cls, sizes: list[int]) -> _LogScale:
        smallest, largest = max(1, min(sizes)), max(1, *sizes)
        return cls(math.log10(smallest / 1.6), math.log10(largest * 1.6))

    def place(self, size_bytes: float) -> float:
        part = (math.log10(max(1, size_bytes)) - self.low) / (self.high - self.low)
        return _PLOT_LEFT + part * (_PLOT_WIDTH - _PLOT_LEFT - _PLOT_RIGHT)

    def ticks(self) -> list[int]:
        """Return the 1, 2, 5 of each decade; its 1 and 3 where there is more than one or two."""
        steps = (1, 3) if self.high - self.low > 1.5 else (1, 2, 5)
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        values = [step * 10**decade for decade in decades if decade >= 0 for step in steps]
        return [value for value in values if self.low <= math.log10(value) <= self.high]


def _lanes(labels: list[tuple[float, str]]) -> list[int]:
    """Give each label a lane, counted upwards from the plot, so that no line crosses a label.

    A label stands over every label that begins within its width: hence right to left.
    """
    lanes = [0] * len(labels)
    order = sorted(range(len(labels)), key=lambda row: -labels[row][0])
    for turn, row in enumerate(order):
        x, name = labels[row]
        end = x + len(name) * _CHARACTER + 8
        covered = [lanes[other] for other in order[:turn] if labels[other][0] <= end]
        lanes[row] = max(covered, default=-1) + 1
    return lanes


def _quality_range(spots: list[Spot]) -> tuple[float, float]:
    low = min(spot.quality.low for spot in spots)
    high = max(spot.quality.high for spot in spots)
    return max(0.0, low - 0.01), min(1.0, max(high, low + 0.02) + 0.005)


def _ticks(low: float, high: float) -> list[float]:
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / step <= 6)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def shortened(name: str, characters: int = _LABEL_CHARACTERS) -> str:
    """Cut the middle out of a long name."""
    if len(name) <= characters:
        return name
    head = (characters - 1) * 2 // 3
    return f"{name[:head]}…{name[head + 1 - characters :]}"
