"""Plots size against quality: each artifact is a point with its interval and name."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from pupila.evaluation import Estimate
from pupila_flows.report import figures, formatting
from pupila_flows.report.plots import axes, svg
from pupila_flows.report.plots.axes import Axis


@dataclass(frozen=True)
class Spot:
    """One artifact in the plot of size against quality."""

    name: str
    size_bytes: int
    quality: Estimate
    style: str
    """Style class: teacher, pupil, control or chosen."""


_PLOT_WIDTH, _PLOT_HEIGHT = 960.0, 230.0
_PLOT_LEFT, _PLOT_RIGHT = 52.0, 150.0
_LANE, _CHARACTER = 17.0, 6.9
_LABEL_CHARACTERS = 22


def size_against_quality(spots: list[Spot], quality: str, unit: str = "") -> Markup:
    """Draw each artifact's quality with its interval against its size on a logarithmic axis.

    `quality` is the name of the metric, in `unit`; without a unit it is a fraction. The names of
    the artifacts stand in lanes above the plot, so that the names do not overlap. A line leads from
    each name to its point.
    """
    sizes = [max(1, spot.size_bytes) for spot in spots]
    across = axes.logarithmic(sizes, _PLOT_LEFT, _PLOT_WIDTH - _PLOT_RIGHT)
    lanes = _lanes([(across.position(spot.size_bytes), _label(spot)) for spot in spots])
    top = 14 + _LANE * (max(lanes) + 1)
    ends = [end for spot in spots for end in (spot.quality.low, spot.quality.high)]
    contain = axes.of_lengths if unit else axes.of_accuracies
    up = contain(ends, top + _PLOT_HEIGHT - 8, top + 8)
    marks = [_plot_axes(across, up, top, quality, unit)]
    for spot, lane in sorted(zip(spots, lanes, strict=True), key=lambda pair: pair[0].style):
        marks.append(
            _spot(spot, across.position(spot.size_bytes), up, top - 8 - _LANE * lane, unit)
        )
    label = f"{quality} over size of {formatting.listed([spot.name for spot in spots])}"
    bottom = top + _PLOT_HEIGHT + 40
    return svg.picture(_PLOT_WIDTH, bottom, label, *marks, class_="scatter")


def _spot(spot: Spot, x: float, up: Axis, label_y: float, unit: str) -> Markup:
    estimate = spot.quality
    low, value, high = (
        up.position(number) for number in (estimate.low, estimate.value, estimate.high)
    )
    number, interval = figures.number(estimate.value, unit), figures.interval(estimate, unit)
    title = f"{spot.name}: {number} ({interval}), "
    return svg.element(
        "g",
        svg.element("title", title + formatting.size(spot.size_bytes)),
        svg.line(x, label_y - 9, x, high, "leader"),
        svg.line(x, low, x, high, "error"),
        svg.line(x - 4, low, x + 4, low, "error"),
        svg.line(x - 4, high, x + 4, high, "error"),
        _marker(x, value, spot.style),
        svg.text(x + 4, label_y, _label(spot), "spot-name"),
        class_=f"spot {spot.style}",
    )


def _label(spot: Spot) -> str:
    return formatting.shortened(spot.name, _LABEL_CHARACTERS)


def _marker(x: float, y: float, style: str) -> Markup:
    """Draw each kind with its own shape, in addition to its colour."""
    if style == "teacher":
        return svg.element("rect", x=x - 5, y=y - 5, width=10, height=10, class_="mark")
    if style == "control":
        corners = f"{x:.2f},{y - 6.5:.2f} {x + 6.5:.2f},{y + 5:.2f} {x - 6.5:.2f},{y + 5:.2f}"
        return svg.element("polygon", points=corners, class_="mark")
    return svg.element("circle", cx=x, cy=y, r=7 if style == "chosen" else 5.2, class_="mark")


def _plot_axes(across: Axis, up: Axis, top: float, quality: str, unit: str) -> Markup:
    bottom = top + _PLOT_HEIGHT
    right = _PLOT_WIDTH - 10
    marks = [svg.line(_PLOT_LEFT, bottom, right, bottom, "axis")]
    for value in up.ticks(6):
        y = up.position(value)
        marks.append(svg.line(_PLOT_LEFT, y, right, y, "grid"))
        marks.append(svg.text(_PLOT_LEFT - 6, y + 4, f"{value:.2f}", "tick", "end"))
    for size_bytes in across.ticks(9):
        x = across.position(size_bytes)
        marks.append(svg.line(x, bottom, x, bottom + 5, "axis"))
        marks.append(
            svg.text(x, bottom + 19, formatting.round_size(round(size_bytes)), "tick", "middle")
        )
    marks.append(svg.text(_PLOT_LEFT, bottom + 36, "size on disk, logarithmic →", "tick"))
    if unit:  # too long for the left edge
        marks.append(svg.text(right, bottom + 36, f"↑ {quality}", "tick", "end"))
    else:
        marks.append(svg.text(4, top - 2, quality, "tick"))
    return Markup("").join(marks)


def _lanes(labels: list[tuple[float, str]]) -> list[int]:
    """Give each label a lane, counted up from the plot, so that no line crosses a label.

    A label is above every label that begins within its width, so lanes are given right to left.
    """
    lanes = [0] * len(labels)
    order = sorted(range(len(labels)), key=lambda row: -labels[row][0])
    for turn, row in enumerate(order):
        x, name = labels[row]
        end = x + len(name) * _CHARACTER + 8
        covered = [lanes[other] for other in order[:turn] if labels[other][0] <= end]
        lanes[row] = max(covered, default=-1) + 1
    return lanes
