"""A frame with ticks around a plot, and positions inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from markupsafe import Markup

from pupila_flows.report.plots import svg
from pupila_flows.report.plots.axes import Axis

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Frame:
    """Two axes; that of `y` starts at the bottom."""

    x: Axis
    y: Axis

    def at(self, points: Iterable[tuple[float, float]]) -> Points:
        """Return where points are drawn."""
        return [(self.x.position(x), self.y.position(y)) for x, y in points]

    def line(self, points: Iterable[tuple[float, float]], class_: str) -> Markup:
        """Draw a line through points."""
        return svg.path(self.at(points), class_)

    def dot(self, x: float, y: float, class_: str, radius: float) -> Markup:
        """Draw a circle at a point."""
        ((left, top),) = self.at([(x, y)])
        return svg.element("circle", cx=left, cy=top, r=radius, class_=class_)

    def drawn(
        self,
        title: str,
        written_x: Callable[[float], str],
        written_y: Callable[[float], str],
        most: int = 5,
    ) -> Markup:
        """Draw the frame with its ticks, and the title of `x` below it."""
        left, right, top, bottom = self.x.start, self.x.end, self.y.end, self.y.start
        box = svg.element(
            "rect", x=left, y=top, width=right - left, height=bottom - top, class_="frame"
        )
        below = [
            svg.text(self.x.position(value), bottom + 13, written_x(value), "tick", "middle")
            for value in self.x.ticks(most)
        ]
        beside = [
            svg.text(left - 4, self.y.position(value) + 4, written_y(value), "tick", "end")
            for value in self.y.ticks(most)
        ]
        name = svg.text((left + right) / 2, bottom + 28, title, "tick", "middle")
        return Markup("").join([box, *below, *beside, name])
