"""The front of a search: accuracy with its intervals over bytes, and over latency."""

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
Shown = TypeVar("Shown", SearchedModel, Candidate)
Named = Sequence[tuple[str, Interval]]


def over_bytes(search: SearchResult, teachers: Named) -> Markup:
    """Draw accuracy over the bytes of the file, on a logarithmic axis."""
    return _Panel(search, teachers, "bytes of the int8 file", _bytes, _round_bytes).drawn()


def over_latency(search: SearchResult, teachers: Named) -> Markup | None:
    """Draw accuracy over latency on a logarithmic axis; None where the front does not have it."""
    if any(each.latency_ms is None for each in search.front):
        return None
    return _Panel(search, teachers, "time of one image", _latency, _milliseconds).drawn()


def _bytes(model: SearchedModel | Candidate) -> float:
    return float(model.bytes)


def _latency(model: SearchedModel | Candidate) -> float | None:
    return model.latency_ms


def _round_bytes(value: float) -> str:
    return formatting.round_size(round(value))


def _milliseconds(value: float) -> str:
    return f"{value:g} ms"


class _Panel:
    """One plot: where each model stands, and what is written at the axis."""

    def __init__(
        self,
        search: SearchResult,
        teachers: Named,
        what: str,
        value: Value,
        written: Callable[[float], str],
    ) -> None:
        self._search, self._teachers = search, teachers
        self._what, self._value, self._written = what, value, written
        self._places = _known(search.models, value)
        self._others = _known(_outside(search), value)
        every = [each for _, each in (*self._places, *self._others)]
        self._x = axes.logarithmic(every, _LEFT + 8, _WIDTH - _RIGHT)
        self._names = names.side_by_side([self._x.place(each) for _, each in self._places], _NAMES)
        self._top = names.height([model.name for model, _ in self._places])
        self._y = axes.of_accuracies(self._accuracies(), self._bottom, self._top + 8)

    @property
    def _bottom(self) -> float:
        return self._top + _HEIGHT

    def drawn(self) -> Markup:
        named = formatting.listed([model.name for model, _ in self._places])
        return svg.picture(
            _WIDTH,
            self._bottom + _BOTTOM,
            f"Validation accuracy over {self._what} of {named}",
            self._axes(),
            *self._teacher_lines(),
            *(self._dot(each, value) for each, value in self._others),
            *(
                self._spot(model, value, place)
                for (model, value), place in zip(self._places, self._names, strict=True)
            ),
            class_="found",
        )

    def _accuracies(self) -> list[float]:
        intervals = [model.validation_accuracy for model, _ in self._places]
        shown = [bound for each in intervals for bound in (each.low, each.high)]
        shown += [each.value for _, each in self._teachers]
        return shown + [each.validation_accuracy or 0.0 for each, _ in self._others]

    def _axes(self) -> Markup:
        right = _WIDTH - _RIGHT + 8
        marks = [svg.line(_LEFT, self._bottom, right, self._bottom, "axis")]
        marks += [accuracy_tick(self._y, value, _LEFT, right) for value in self._y.ticks(7)]
        for value in self._x.ticks(7):
            x = self._x.place(value)
            marks.append(svg.line(x, self._bottom, x, self._bottom + 5, "axis"))
            marks.append(svg.text(x, self._bottom + 18, self._written(value), "tick", "middle"))
        marks.append(svg.text(_LEFT, self._bottom + 34, f"{self._what}, logarithmic →", "tick"))
        return Markup("").join(marks)

    def _teacher_lines(self) -> list[Markup]:
        right = _WIDTH - _RIGHT + 8
        places = [self._y.place(each.value) for _, each in self._teachers]
        moved = axes.apart(places, _LABEL_GAP, self._top, self._bottom - 4)
        lines: list[Markup] = []
        for (name, each), y, label_y in zip(self._teachers, places, moved, strict=True):
            told = f"teacher {name}: {_written_interval(each)}"
            parts = [
                svg.element("title", told),
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
        told = (
            f"{candidate.name}: {formatting.percent(accuracy)}, {formatting.size(candidate.bytes)}"
        )
        return svg.element(
            "circle",
            svg.element("title", told),
            cx=self._x.place(value),
            cy=self._y.place(accuracy),
            r=2.6,
            class_=f"tried {role_of(candidate.name, self._search)}",
        )

    def _spot(self, model: SearchedModel, value: float, name_x: float) -> Markup:
        role, interval = role_of(model.name, self._search), model.validation_accuracy
        x = self._x.place(value)
        low, y, high = (
            self._y.place(each) for each in (interval.low, interval.value, interval.high)
        )
        told = f"{model.name} ({ROLES[role]}): {_written_interval(interval)}, "
        return svg.element(
            "g",
            svg.element("title", told + formatting.size(model.bytes)),
            names.tag(model.name, name_x, x, self._top, high),
            svg.line(x, low, x, high, "error"),
            svg.line(x - 3.5, low, x + 3.5, low, "error"),
            svg.line(x - 3.5, high, x + 3.5, high, "error"),
            _marker(x, y, role),
            class_=f"model {role}",
        )


def _marker(x: float, y: float, role: str) -> Markup:
    """Tell roles apart by shape as well as by colour."""
    if role == "other":
        corners = f"{x:.2f},{y - 6:.2f} {x + 6:.2f},{y:.2f} {x:.2f},{y + 6:.2f} {x - 6:.2f},{y:.2f}"
        return svg.element("polygon", points=corners, class_="mark")
    return svg.element("circle", cx=x, cy=y, r=7 if role == "chosen" else 5, class_="mark")


def accuracy_tick(axis: Axis, value: float, left: float, right: float) -> Markup:
    """Draw a line across the plot, with its accuracy in percent."""
    y = axis.place(value)
    written = f"{100 * value:.1f}".removesuffix(".0")
    return Markup("").join(
        [
            svg.line(left, y, right, y, "grid"),
            svg.text(left - 6, y + 4, f"{written} %", "tick", "end"),
        ]
    )


def _known(models: Sequence[Shown], value: Value) -> list[tuple[Shown, float]]:
    found = ((each, value(each)) for each in models)
    return [(each, known) for each, known in found if known is not None]


def _outside(search: SearchResult) -> list[Candidate]:
    """Return those that were tried and are no model of the front."""
    shown = {each.name for each in search.models}
    return [
        each
        for each in search.candidates
        if each.name not in shown and each.validation_accuracy is not None
    ]


def _written_interval(interval: Interval) -> str:
    low, high = f"{100 * interval.low:.1f}", f"{100 * interval.high:.1f}"
    return f"{formatting.percent(interval.value)} ({low}–{high})"
