"""The history of a search: the best accuracy by the time at which it was reached."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from pupila.measured import Candidate, Improvement, SearchResult
from pupila_flows.report import formatting
from pupila_flows.report.plots import axes, svg
from pupila_flows.report.plots.axes import Axis
from pupila_flows.report.search import names
from pupila_flows.report.search.front import accuracy_tick
from pupila_flows.report.search.roles import role_of

_WIDTH, _HEIGHT = 960.0, 210.0
_LEFT, _RIGHT, _BOTTOM = 48.0, 72.0, 54.0
_RUG = 14.0
_TICKS = 9
_UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))


def history_plot(search: SearchResult) -> Markup | None:
    """Draw the best accuracy over wall time, with what was tried; None where it is not known."""
    if not search.history or not search.seconds:
        return None
    return _Course(search, search.seconds).drawn()


class _Course:
    """The plot: a step for each best so far, a mark for each that was tried."""

    def __init__(self, search: SearchResult, seconds: float) -> None:
        self._search = search
        self._ended = _ended(search.candidates)
        latest = max([seconds, *self._ended.values()])
        self._x = Axis(0.0, latest, _LEFT + 4, _WIDTH - _RIGHT)
        places = [self._x.place(each.seconds) for each in search.history]
        self._names = names.side_by_side(places, _WIDTH - 30)
        self._top = names.height([each.name for each in search.history])
        self._bottom = self._top + _HEIGHT
        known = [each.validation_accuracy for each in search.candidates]
        reached = [each.validation_accuracy for each in search.history]
        self._y = axes.of_accuracies(
            [*reached, *(each for each in known if each is not None)],
            self._bottom,
            self._top + 8,
        )

    def drawn(self) -> Markup:
        last = self._search.history[-1]
        label = (
            f"Best validation accuracy over time: {formatting.percent(last.validation_accuracy)} "
        )
        return svg.picture(
            _WIDTH,
            self._bottom + _RUG + _BOTTOM,
            label + f"after {formatting.duration(last.seconds)}",
            self._axes(),
            *(self._tried(each) for each in self._search.candidates),
            svg.path(self._steps(), "best"),
            *(
                self._reached(each, place)
                for each, place in zip(self._search.history, self._names, strict=True)
            ),
            class_="found history",
        )

    def _steps(self) -> list[tuple[float, float]]:
        """Return the corners: an accuracy lasts until a better one is reached."""
        points = [self._point(each) for each in self._search.history]
        corners = points[:1]
        for (_, before), (x, y) in pairwise(points):
            corners += [(x, before), (x, y)]
        return [*corners, (self._x.end, points[-1][1])]

    def _point(self, reached: Improvement) -> tuple[float, float]:
        return self._x.place(reached.seconds), self._y.place(reached.validation_accuracy)

    def _reached(self, reached: Improvement, name_x: float) -> Markup:
        x, y = self._point(reached)
        told = f"{reached.name}: {formatting.percent(reached.validation_accuracy)} after "
        return svg.element(
            "g",
            svg.element("title", told + formatting.duration(reached.seconds)),
            names.tag(reached.name, name_x, x, self._top, y),
            svg.element("circle", cx=x, cy=y, r=4, class_="mark"),
            class_="model chosen",
        )

    def _tried(self, candidate: Candidate) -> Markup:
        """Draw what was reached, and below the plot when a candidate was done, or that it failed.

        A failure without a time stands beside the candidate before it.
        """
        if candidate.name not in self._ended:
            return Markup("")
        x, y = self._x.place(self._ended[candidate.name]), self._bottom + _RUG
        if candidate.failed is not None:
            told = f"{candidate.name} failed: {candidate.failed}"
            cross = f"M{x - 4:.2f},{y - 10:.2f} l8,8 m0,-8 l-8,8"
            return svg.element(
                "g", svg.element("title", told), svg.element("path", d=cross), class_="lost"
            )
        if candidate.validation_accuracy is None:
            return Markup("")
        told = f"{candidate.name}: {formatting.percent(candidate.validation_accuracy)}"
        dot = svg.element(
            "circle",
            cx=x,
            cy=self._y.place(candidate.validation_accuracy),
            r=2.6,
            class_=f"tried {role_of(candidate.name, self._search)}",
        )
        return svg.element(
            "g", svg.element("title", told), dot, svg.line(x, y - 10, x, y - 2, "rug")
        )

    def _axes(self) -> Markup:
        right, bottom = _WIDTH - _RIGHT, self._bottom + _RUG
        marks = [svg.line(_LEFT, bottom, right, bottom, "axis")]
        marks += [accuracy_tick(self._y, value, _LEFT, right) for value in self._y.ticks(6)]
        scale, unit = next((each for each in _UNITS if self._x.high >= 2 * each[0]), (1.0, "s"))
        for value in Axis(0.0, self._x.high / scale, 0, 1).ticks(_TICKS):
            x = self._x.place(value * scale)
            marks.append(svg.line(x, bottom, x, bottom + 5, "axis"))
            marks.append(svg.text(x, bottom + 18, f"{value:g} {unit}", "tick", "middle"))
            done = sum(ended <= value * scale for ended in self._ended.values())
            marks.append(svg.text(x, bottom + 33, f"{done}", "tick", "middle"))
        marks.append(svg.text(right + 14, bottom + 18, "wall time", "tick"))
        marks.append(svg.text(right + 14, bottom + 33, "done", "tick"))
        return Markup("").join(marks)


def _ended(candidates: Sequence[Candidate]) -> dict[str, float]:
    """Return when each ended; one without a time did so about when the one before it did."""
    found: dict[str, float] = {}
    before = 0.0
    for each in candidates:
        before = before if each.seconds is None else each.seconds
        if each.seconds is not None or each.failed is not None:
            found[each.name] = before
    return found
