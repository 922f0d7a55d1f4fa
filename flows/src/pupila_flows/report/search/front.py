"""Draws the Pareto front of a search: accuracy with intervals against bytes and latency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from markupsafe import Markup

from pupila.measured import Candidate, Interval, SearchedModel, SearchResult
from pupila_flows.report import formatting
from pupila_flows.report.plots import axes, svg
from pupila_flows.report.plots.axes import Axis
from pupila_flows.report.search import names
from pupila_flows.report.search.roles import ROLES, role_of

_WIDTH, _HEIGHT = 620.0, 300.0
_LEFT, _RIGHT, _BOTTOM = 48.0, 124.0, 40.0
_NAMES = _WIDTH - _RIGHT + 30
_LABEL_GAP = 13.0
_TEACHER_CHARACTERS = 16

Value = Callable[[SearchedModel | Candidate], float | None]
AnyModel = TypeVar("AnyModel", SearchedModel, Candidate)
Named = Sequence[tuple[str, Interval]]


def over_bytes(search: SearchResult, teachers: Named) -> Markup:
    """Draw accuracy against the size of the int8 file, on a logarithmic axis.

    The accuracy of each teacher is a horizontal line.
    """
    return _Panel(search, teachers, "bytes of the int8 file", _bytes, _round_bytes).draw()


def over_latency(search: SearchResult, teachers: Named) -> Markup | None:
    """Draw accuracy against latency on a logarithmic axis; None if latency was not measured.

    The accuracy of each teacher is a horizontal line.
    """
    if any(model.latency_ms is None for model in search.front):
        return None
    return _Panel(search, teachers, "time of one image", _latency, _milliseconds).draw()


def _bytes(model: SearchedModel | Candidate) -> float:
    return float(model.bytes)


def _latency(model: SearchedModel | Candidate) -> float | None:
    return model.latency_ms


def _round_bytes(value: float) -> str:
    return formatting.round_size(round(value))


def _milliseconds(value: float) -> str:
    return f"{value:g} ms"


class _Panel:
    """One plot of the Pareto front against a size or a time."""

    def __init__(
        self,
        search: SearchResult,
        teachers: Named,
        title: str,
        value: Value,
        write: Callable[[float], str],
    ) -> None:
        self._search, self._teachers = search, teachers
        self._title, self._value, self._write = title, value, write
        self._models = _with_values(search.models, value)
        self._others = _with_values(_off_front(search), value)
        values = [value for _, value in (*self._models, *self._others)]
        self._x = axes.logarithmic(values, _LEFT + 8, _WIDTH - _RIGHT)
        self._names = names.side_by_side(
            [self._x.position(value) for _, value in self._models], _NAMES
        )
        self._top = names.height([model.name for model, _ in self._models])
        self._y = axes.of_accuracies(self._accuracies(), self._bottom, self._top + 8)

    @property
    def _bottom(self) -> float:
        return self._top + _HEIGHT

    def draw(self) -> Markup:
        named = formatting.listed([model.name for model, _ in self._models])
        return svg.picture(
            _WIDTH,
            self._bottom + _BOTTOM,
            f"Validation accuracy against {self._title} of {named}",
            self._axes(),
            *self._teacher_lines(),
            *(self._dot(candidate, value) for candidate, value in self._others),
            *(
                self._spot(model, value, name_x)
                for (model, value), name_x in zip(self._models, self._names, strict=True)
            ),
            class_="search-plot",
        )

    def _accuracies(self) -> list[float]:
        intervals = [model.validation_accuracy for model, _ in self._models]
        accuracies = [bound for interval in intervals for bound in (interval.low, interval.high)]
        accuracies += [interval.value for _, interval in self._teachers]
        return accuracies + [candidate.validation_accuracy or 0.0 for candidate, _ in self._others]

    def _axes(self) -> Markup:
        right = _WIDTH - _RIGHT + 8
        marks = [svg.line(_LEFT, self._bottom, right, self._bottom, "axis")]
        marks += [accuracy_tick(self._y, value, _LEFT, right) for value in self._y.ticks(7)]
        for value in self._x.ticks(7):
            x = self._x.position(value)
            marks.append(svg.line(x, self._bottom, x, self._bottom + 5, "axis"))
            marks.append(svg.text(x, self._bottom + 18, self._write(value), "tick", "middle"))
        marks.append(svg.text(_LEFT, self._bottom + 34, f"{self._title}, logarithmic →", "tick"))
        return Markup("").join(marks)

    def _teacher_lines(self) -> list[Markup]:
        right = _WIDTH - _RIGHT + 8
        positions = [self._y.position(interval.value) for _, interval in self._teachers]
        moved = axes.spread_out(positions, _LABEL_GAP, self._top, self._bottom - 4)
        lines: list[Markup] = []
        for (name, interval), y, label_y in zip(self._teachers, positions, moved, strict=True):
            tooltip = f"teacher {name}: {_percent_interval(interval)}"
            parts = [
                svg.element("title", tooltip),
                svg.line(_LEFT, y, right, y, "teacher-line"),
                svg.line(right, y, right + 8, label_y, "leader"),
                svg.text(
                    right + 11, label_y + 4, formatting.shortened(name, _TEACHER_CHARACTERS), "tick"
                ),
            ]
            lines.append(svg.element("g", *parts))
        return lines

    def _dot(self, candidate: Candidate, value: float) -> Markup:
        accuracy = candidate.validation_accuracy or 0.0
        tooltip = (
            f"{candidate.name}: {formatting.percent(accuracy)}, {formatting.size(candidate.bytes)}"
        )
        return svg.element(
            "circle",
            svg.element("title", tooltip),
            cx=self._x.position(value),
            cy=self._y.position(accuracy),
            r=2.6,
            class_=f"tried {role_of(candidate.name, self._search)}",
        )

    def _spot(self, model: SearchedModel, value: float, name_x: float) -> Markup:
        role, interval = role_of(model.name, self._search), model.validation_accuracy
        x = self._x.position(value)
        low, y, high = (
            self._y.position(bound) for bound in (interval.low, interval.value, interval.high)
        )
        tooltip = f"{model.name} ({ROLES[role]}): {_percent_interval(interval)}, "
        return svg.element(
            "g",
            svg.element("title", tooltip + formatting.size(model.bytes)),
            names.tag(model.name, name_x, x, self._top, high),
            svg.line(x, low, x, high, "error"),
            svg.line(x - 3.5, low, x + 3.5, low, "error"),
            svg.line(x - 3.5, high, x + 3.5, high, "error"),
            _marker(x, y, role),
            class_=f"model {role}",
        )


def _marker(x: float, y: float, role: str) -> Markup:
    """Draw each role with its own shape, in addition to its colour."""
    if role == "other":
        corners = f"{x:.2f},{y - 6:.2f} {x + 6:.2f},{y:.2f} {x:.2f},{y + 6:.2f} {x - 6:.2f},{y:.2f}"
        return svg.element("polygon", points=corners, class_="mark")
    return svg.element("circle", cx=x, cy=y, r=7 if role == "chosen" else 5, class_="mark")


def accuracy_tick(axis: Axis, value: float, left: float, right: float) -> Markup:
    """Draw a line across the plot at an accuracy, labelled with that accuracy in percent."""
    y = axis.position(value)
    percent = f"{100 * value:.1f}".removesuffix(".0")
    return Markup("").join(
        [
            svg.line(left, y, right, y, "grid"),
            svg.text(left - 6, y + 4, f"{percent} %", "tick", "end"),
        ]
    )


def _with_values(models: Sequence[AnyModel], value: Value) -> list[tuple[AnyModel, float]]:
    values = ((model, value(model)) for model in models)
    return [(model, number) for model, number in values if number is not None]


def _off_front(search: SearchResult) -> list[Candidate]:
    """Return the trained candidates that are not on the Pareto front."""
    on_front = {model.name for model in search.models}
    return [
        candidate
        for candidate in search.candidates
        if candidate.name not in on_front and candidate.validation_accuracy is not None
    ]


def _percent_interval(interval: Interval) -> str:
    low, high = f"{100 * interval.low:.1f}", f"{100 * interval.high:.1f}"
    return f"{formatting.percent(interval.value)} ({low}–{high})"
