"""Draws the history of a search: the best accuracy over time."""

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
    """Draw every candidate and the best accuracy so far, over wall time; None without times."""
    if not search.history or not search.seconds:
        return None
    return _HistoryPlot(search, search.seconds).draw()


class _HistoryPlot:
    """The plot: a step for each new best, a mark for each candidate."""

    def __init__(self, search: SearchResult, seconds: float) -> None:
        self._search = search
        self._ended = _end_times(search.candidates)
        latest = max([seconds, *self._ended.values()])
        self._x = Axis(0.0, latest, _LEFT + 4, _WIDTH - _RIGHT)
        positions = [self._x.position(improvement.seconds) for improvement in search.history]
        self._names = names.side_by_side(positions, _WIDTH - 30)
        self._top = names.height([improvement.name for improvement in search.history])
        self._bottom = self._top + _HEIGHT
        known = [candidate.validation_accuracy for candidate in search.candidates]
        reached = [improvement.validation_accuracy for improvement in search.history]
        self._y = axes.of_accuracies(
            [*reached, *(accuracy for accuracy in known if accuracy is not None)],
            self._bottom,
            self._top + 8,
        )

    def draw(self) -> Markup:
        last = self._search.history[-1]
        label = (
            f"Best validation accuracy over time: {formatting.percent(last.validation_accuracy)} "
        )
        return svg.picture(
            _WIDTH,
            self._bottom + _RUG + _BOTTOM,
            label + f"after {formatting.duration(last.seconds)}",
            self._axes(),
            *(self._candidate(candidate) for candidate in self._search.candidates),
            svg.path(self._steps(), "best"),
            *(
                self._improvement(improvement, name_x)
                for improvement, name_x in zip(self._search.history, self._names, strict=True)
            ),
            class_="search-plot history",
        )

    def _steps(self) -> list[tuple[float, float]]:
        """Return the corners of the line: an accuracy holds until a better one is reached."""
        points = [self._point(improvement) for improvement in self._search.history]
        corners = points[:1]
        for (_, before), (x, y) in pairwise(points):
            corners += [(x, before), (x, y)]
        return [*corners, (self._x.end, points[-1][1])]

    def _point(self, reached: Improvement) -> tuple[float, float]:
        return self._x.position(reached.seconds), self._y.position(reached.validation_accuracy)

    def _improvement(self, reached: Improvement, name_x: float) -> Markup:
        x, y = self._point(reached)
        tooltip = f"{reached.name}: {formatting.percent(reached.validation_accuracy)} after "
        return svg.element(
            "g",
            svg.element("title", tooltip + formatting.duration(reached.seconds)),
            names.tag(reached.name, name_x, x, self._top, y),
            svg.element("circle", cx=x, cy=y, r=4, class_="mark"),
            class_="model chosen",
        )

    def _candidate(self, candidate: Candidate) -> Markup:
        """Draw a candidate's accuracy, with a tick below it at its end, or a cross if it failed.

        A failure without a time is drawn at the time of the candidate before it.
        """
        if candidate.name not in self._ended:
            return Markup("")
        x, y = self._x.position(self._ended[candidate.name]), self._bottom + _RUG
        if candidate.failed is not None:
            tooltip = f"{candidate.name} failed: {candidate.failed}"
            cross = f"M{x - 4:.2f},{y - 10:.2f} l8,8 m0,-8 l-8,8"
            return svg.element(
                "g", svg.element("title", tooltip), svg.element("path", d=cross), class_="failed"
            )
        if candidate.validation_accuracy is None:
            return Markup("")
        tooltip = f"{candidate.name}: {formatting.percent(candidate.validation_accuracy)}"
        dot = svg.element(
            "circle",
            cx=x,
            cy=self._y.position(candidate.validation_accuracy),
            r=2.6,
            class_=f"tried {role_of(candidate.name, self._search)}",
        )
        return svg.element(
            "g", svg.element("title", tooltip), dot, svg.line(x, y - 10, x, y - 2, "rug")
        )

    def _axes(self) -> Markup:
        right, bottom = _WIDTH - _RIGHT, self._bottom + _RUG
        marks = [svg.line(_LEFT, bottom, right, bottom, "axis")]
        marks += [accuracy_tick(self._y, value, _LEFT, right) for value in self._y.ticks(6)]
        scale, unit = next((unit for unit in _UNITS if self._x.high >= 2 * unit[0]), (1.0, "s"))
        for value in Axis(0.0, self._x.high / scale, 0, 1).ticks(_TICKS):
            x = self._x.position(value * scale)
            marks.append(svg.line(x, bottom, x, bottom + 5, "axis"))
            marks.append(svg.text(x, bottom + 18, f"{value:g} {unit}", "tick", "middle"))
            done = sum(ended <= value * scale for ended in self._ended.values())
            marks.append(svg.text(x, bottom + 33, f"{done}", "tick", "middle"))
        marks.append(svg.text(right + 14, bottom + 18, "wall time", "tick"))
        marks.append(svg.text(right + 14, bottom + 33, "done", "tick"))
        return Markup("").join(marks)


def _end_times(candidates: Sequence[Candidate]) -> dict[str, float]:
    """Return when each candidate ended, in seconds since the search began.

    A failure without a time gets the time of the candidate before it.
    """
    ended: dict[str, float] = {}
    before = 0.0
    for candidate in candidates:
        before = before if candidate.seconds is None else candidate.seconds
        if candidate.seconds is not None or candidate.failed is not None:
            ended[candidate.name] = before
    return ended
