"""Draws a sweep: fraction right or fidelity along one setting, on validation and test images.

Colours are from Okabe and Ito 2008 ("Color universal design"): they are distinguishable with the
common kinds of colour blindness. Each line also has its own mark.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from pupila.task import TaskMethods
from pupila_flows.printable import printable
from pupila_flows.report import formatting
from pupila_flows.report.plots import svg
from pupila_flows.report.sections.seeds import SeedRuns, Spread
from pupila_flows.report.sweep.axis import Axis, write_value
from pupila_flows.report.sweep.lines import Line
from pupila_flows.report.templating import template_text

_COLOURS = 5
"""Number of colours in `sweep.css`. Combined with four shapes, they repeat after 20 lines."""

_WIDTH, _PLOT_WIDTH, _PLOT_HEIGHT = 960.0, 318.0, 270.0
_LEFT, _NAMES_WIDTH, _INSET = 48.0, 132.0, 18.0
_LEGEND_LINE, _CHARACTER, _KEY_WIDTH = 20.0, 6.6, 30.0
_NAME_CHARACTERS, _NAME_GAP = 19, 13.0
_TITLE_HEIGHT, _FOOT = 24.0, 46.0

Point = tuple[float, float]
Metric = Callable[[SeedRuns], Spread | None]


@dataclass(frozen=True)
class PlottedMetric:
    """A metric to plot: its name, how to compute it for each panel, and how to write it."""

    name: str
    panels: tuple[tuple[str, Metric], tuple[str, Metric]]
    """Title and metric of each panel: validation images first, then test images."""
    write: Callable[[float], str]


def fraction_right(task: TaskMethods) -> PlottedMetric:
    """Return the fraction of images answered right, such as accuracy, as a metric to plot."""
    return PlottedMetric(
        formatting.capitalised(task.right_title),
        (
            ("validation (choose here)", lambda runs: runs.validation),
            ("test", lambda runs: runs.accuracy),
        ),
        lambda value: f"{100 * value:g} %",
    )


FIDELITY = PlottedMetric(
    "Fidelity",
    (
        ("altered validation images (choose here)", lambda runs: runs.fidelity),
        ("altered test images", lambda runs: runs.test_fidelity),
    ),
    lambda value: f"{value:.2f}",
)


def draw(
    plotted: PlottedMetric, lines: Sequence[Line], axis: Axis, title: str, best: SeedRuns | None
) -> Markup:
    """Draw the panels of validation and test images for a page that contains the style sheet.

    `title` is the name of the axis, and `best` is the point to mark.
    """
    height, content = _content(plotted, lines, axis, title, best)
    return svg.picture(
        _WIDTH, height, _picture_label(plotted, lines, title), *content, class_="sweep"
    )


def draw_alone(
    plotted: PlottedMetric, lines: Sequence[Line], axis: Axis, title: str, best: SeedRuns | None
) -> str:
    """Draw the panels of validation and test images as a standalone SVG file, on white.

    `title` is the name of the axis, and `best` is the point to mark.
    """
    height, content = _content(plotted, lines, axis, title, best)
    ground = svg.element("rect", width=_WIDTH, height=height, fill="#ffffff")
    style = svg.element("style", _own_colours())
    label = _picture_label(plotted, lines, title)
    picture = svg.document(_WIDTH, height, label, style, ground, *content, class_="sweep")
    return printable(str(picture))


def _own_colours() -> str:
    """Return the plot's style sheet with the page's light colours."""
    light, _, _ = template_text("style.css").partition("@media")
    colours = dict(re.findall(r"--([\w-]+): ([^;]+);", light)) | {"paper": "#ffffff"}
    return re.sub(r"var\(--([\w-]+)\)", lambda match: colours[match[1]], template_text("sweep.css"))


def _picture_label(plotted: PlottedMetric, lines: Sequence[Line], title: str) -> str:
    names = formatting.listed([line.label for line in lines])
    return f"{plotted.name} over {title}, on validation and on test images, of {names}"


@dataclass(frozen=True)
class _Panel:
    """One of the plot's two panels: its metric and its geometry."""

    title: str
    metric: Metric
    left: float
    top: float
    low: float
    high: float
    positions: tuple[float, ...]

    @property
    def right(self) -> float:
        return self.left + _PLOT_WIDTH

    @property
    def bottom(self) -> float:
        return self.top + _PLOT_HEIGHT

    def x(self, position: float) -> float:
        return self.left + _INSET + position * (_PLOT_WIDTH - 2 * _INSET)

    def y(self, value: float) -> float:
        return self.bottom - (value - self.low) / (self.high - self.low) * _PLOT_HEIGHT


def _content(
    plotted: PlottedMetric, lines: Sequence[Line], axis: Axis, title: str, best: SeedRuns | None
) -> tuple[float, list[Markup]]:
    """Return the picture's height and elements."""
    styles = _styles(lines)
    legend, top = _legend(lines, styles, marked=best is not None)
    low, high = _range(plotted, lines)
    content = [legend]
    for number, (name, metric) in enumerate(plotted.panels):
        left = _LEFT + number * (_PLOT_WIDTH + _NAMES_WIDTH)
        panel = _Panel(name, metric, left, top + _TITLE_HEIGHT, low, high, tuple(axis.positions()))
        tick = plotted.write if number == 0 else None
        content += [_axes(panel, axis, title, tick), *_bands(panel, lines, styles)]
        content += [_line(panel, line, style) for line, style in zip(lines, styles, strict=True)]
        content += [_names(panel, lines), _ring(panel, lines, best)]
    return top + _TITLE_HEIGHT + _PLOT_HEIGHT + _FOOT, content


def _styles(lines: Sequence[Line]) -> list[tuple[str, int]]:
    """Return style class and number of each line; the number selects the shape of its marks."""
    pupils = [line for line in lines if line.role == "pupil"]
    return [
        (f"s{number % _COLOURS}" if number < len(pupils) else line.role, number)
        for number, line in enumerate(lines)
    ]


def _range(plotted: PlottedMetric, lines: Sequence[Line]) -> tuple[float, float]:
    """Return the ends of the common axis: hundredths that enclose all values."""
    all_runs = [runs for line in lines for runs in line.at if runs]
    known = [metric(runs) for runs in all_runs for _, metric in plotted.panels]
    spreads = [spread for spread in known if spread]
    low = min((spread.lowest for spread in spreads), default=0.0)
    high = max((spread.highest for spread in spreads), default=1.0)
    lowest = max(min(0.0, low), math.floor(low * 100 - 0.5) / 100)
    return lowest, min(1.0, math.ceil(high * 100 + 0.5) / 100)


def _axes(panel: _Panel, axis: Axis, title: str, tick: Callable[[float], str] | None) -> Markup:
    marks = [svg.text(panel.left, panel.top - 9, panel.title, "panel-title")]
    for value in _ticks(panel.low, panel.high):
        y = panel.y(value)
        marks.append(svg.line(panel.left, y, panel.right, y, "grid"))
        if tick:
            marks.append(svg.text(panel.left - 6, y + 4, tick(value), "tick", "end"))
    marks.append(svg.line(panel.left, panel.bottom, panel.right, panel.bottom, "axis"))
    free = -math.inf
    for position, value in zip(panel.positions, axis.values, strict=True):
        x, name = panel.x(position), formatting.shortened(write_value(value), 14)
        marks.append(svg.line(x, panel.bottom, x, panel.bottom + 5, "axis"))
        half = len(name) * _CHARACTER / 2
        if x - half >= free:
            marks.append(svg.text(x, panel.bottom + 18, name, "tick", "middle"))
            free = x + half + 4
    scale = ", logarithmic" if axis.logarithmic else ""
    middle = (panel.left + panel.right) / 2
    marks.append(svg.text(middle, panel.bottom + 37, title + scale, "tick", "middle"))
    return Markup("").join(marks)


def _ticks(low: float, high: float) -> list[float]:
    span = 100 * (high - low)
    step = next(step for step in (1, 2, 5, 10, 20, 50) if span / step <= 8)
    first, last = math.ceil(low * 100 / step - 1e-9), math.floor(high * 100 / step + 1e-9)
    return [number * step / 100 for number in range(first, last + 1)]


def _runs(panel: _Panel, line: Line) -> list[list[tuple[float, Spread]]]:
    """Return the pieces of a line as x and value; a missing value ends a piece."""
    spreads = [panel.metric(runs) if runs else None for runs in line.at]
    if line.constant:
        spread = spreads[0]
        return [[(panel.left, spread), (panel.right, spread)]] if spread else []
    placed = list(zip(map(panel.x, panel.positions), spreads, strict=True))
    pieces = [list(piece) for _, piece in groupby(placed, key=lambda point: point[1] is not None)]
    known = [[(x, spread) for x, spread in piece if spread] for piece in pieces]
    return [piece for piece in known if piece]


def _bands(panel: _Panel, lines: Sequence[Line], styles: list[tuple[str, int]]) -> list[Markup]:
    """Draw the range from the lowest to the highest seed, behind all lines."""
    bands: list[Markup] = []
    for line, (style, _) in zip(lines, styles, strict=True):
        for piece in _runs(panel, line):
            upper = [(x, panel.y(spread.highest)) for x, spread in piece]
            lower = [(x, panel.y(spread.lowest)) for x, spread in reversed(piece)]
            if any(spread.highest > spread.lowest for _, spread in piece):
                bands.append(svg.element("g", _polygon([*upper, *lower], "band"), class_=style))
    return bands


def _line(panel: _Panel, line: Line, style: tuple[str, int]) -> Markup:
    name, number = style
    marks: list[Markup] = [svg.element("title", line.label)]
    for piece in _runs(panel, line):
        points = [(x, panel.y(spread.mean)) for x, spread in piece]
        marks.append(svg.path(points, "mean"))
        if not line.constant:
            marks += [_mark(x, y, number) for x, y in points]
    return svg.element("g", *marks, class_=name)


def _mark(x: float, y: float, number: int) -> Markup:
    """Draw the mark of a line: circle, square, triangle or diamond."""
    shape = number % (_COLOURS - 1)
    if shape == 0:
        return svg.element("circle", cx=x, cy=y, r=4.6, class_="mark")
    corners = {
        1: [(-4.2, -4.2), (4.2, -4.2), (4.2, 4.2), (-4.2, 4.2)],
        2: [(0.0, -5.6), (5.4, 4.2), (-5.4, 4.2)],
        3: [(0.0, -6.0), (6.0, 0.0), (0.0, 6.0), (-6.0, 0.0)],
    }[shape]
    return _polygon([(x + dx, y + dy) for dx, dy in corners], "mark")


def _polygon(points: Sequence[Point], class_: str) -> Markup:
    written_points = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return svg.element("polygon", points=written_points, class_=class_)


def _names(panel: _Panel, lines: Sequence[Line]) -> Markup:
    """Name constant lines to the right of the panel, without overlapping names."""
    level = [
        (panel.y(runs[0][-1][1].mean), line.label)
        for line in lines
        if line.constant and (runs := _runs(panel, line))
    ]
    marks: list[Markup] = []
    free = -math.inf
    for y, label in sorted(level):
        label_y = max(y, free)
        free = label_y + _NAME_GAP
        name = formatting.shortened(label, _NAME_CHARACTERS)
        marks.append(svg.line(panel.right, y, panel.right + 8, label_y, "leader"))
        marks.append(svg.text(panel.right + 11, label_y + 4, name, "tick"))
    return Markup("").join(marks)


def _ring(panel: _Panel, lines: Sequence[Line], best: SeedRuns | None) -> Markup:
    spread = panel.metric(best) if best else None
    positions = [
        position
        for line in lines
        if not line.constant
        for position, runs in zip(panel.positions, line.at, strict=True)
        if runs == best
    ]
    if spread is None or not positions:
        return Markup("")
    return svg.element(
        "circle", cx=panel.x(positions[0]), cy=panel.y(spread.mean), r=9.5, class_="best"
    )


def _legend(
    lines: Sequence[Line], styles: list[tuple[str, int]], *, marked: bool
) -> tuple[Markup, float]:
    """Return the legend of lines without a name next to them, and its height."""
    keys: list[tuple[str, Callable[[float, float], Markup]]] = [
        (line.label, _key(line, style))
        for line, style in zip(lines, styles, strict=True)
        if not line.constant or line.role == "pupil"
    ]
    keys += [("chosen point", _ring_key)] if marked else []
    if any(len(runs.evaluated) > 1 for line in lines for runs in line.at if runs):
        keys.append(("lowest to highest seed", _band_key))
    marks: list[Markup] = []
    x, y = _LEFT, 14.0
    for label, draw_key in keys:
        width = _KEY_WIDTH + len(label) * _CHARACTER + 18
        if x + width > _WIDTH and x > _LEFT:
            x, y = _LEFT, y + _LEGEND_LINE
        marks += [draw_key(x, y - 4), svg.text(x + _KEY_WIDTH, y, label, "key-name")]
        x += width
    return Markup("").join(marks), y + 12


def _key(line: Line, style: tuple[str, int]) -> Callable[[float, float], Markup]:
    def draw_key(x: float, y: float) -> Markup:
        name, number = style
        marks = [svg.path([(x, y), (x + 24, y)], "mean")]
        marks += [] if line.constant else [_mark(x + 12, y, number)]
        return svg.element("g", *marks, class_=name)

    return draw_key


def _ring_key(x: float, y: float) -> Markup:
    return svg.element("circle", cx=x + 14, cy=y, r=7, class_="best")


def _band_key(x: float, y: float) -> Markup:
    corners = [(x, y - 6), (x + 24, y - 6), (x + 24, y + 6), (x, y + 6)]
    return svg.element("g", _polygon(corners, "band"), class_="control")
