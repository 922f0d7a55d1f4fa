"""Size against quality: every artifact as a point with its interval and its name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from pupila.evaluation import Estimate
from pupila_flows.report import formats, svg


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
    lanes = _lanes([(scale.place(spot.size_bytes), _label(spot)) for spot in spots])
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
        svg.text(x + 4, label_y, _label(spot), "spot-name"),
        class_=f"spot {spot.style}",
    )


def _label(spot: Spot) -> str:
    return formats.shortened(spot.name, _LABEL_CHARACTERS)


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
