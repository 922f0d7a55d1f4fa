"""The report's section on what the teacher adds: pupil and control by seed, and a summary."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from pupila.task import TaskMethods
from pupila_flows.report import figures, formatting
from pupila_flows.report.plots import svg
from pupila_flows.report.sections.gains import Gain, Shown
from pupila_flows.report.sections.seeds import Spread

_WIDTH, _HEIGHT, _EDGE = 260.0, 40.0, 10.0
_PUPIL_Y, _CONTROL_Y = 11.0, 29.0
_TICKS_HEIGHT = 14.0
_NAMED = 4
"""Most pupils that a sentence names; if there are more, it gives their number."""


@dataclass(frozen=True)
class Comparison:
    """One row of the table: a pupil's gain over its control, as a plot and as text."""

    gain: Gain
    dots: Markup
    right: tuple[str, str]
    """Mean fraction right over seeds of the pupil, then of the control."""
    main: tuple[str, str]
    """Mean of the main figure over seeds of the pupil, then of the control."""


@dataclass(frozen=True)
class Comparisons:
    """The table of all gains. Its plots share one scale, which is drawn in the table's head."""

    ticks: Markup
    rows: tuple[Comparison, ...]


def comparisons(gains: list[Gain], task: TaskMethods) -> Comparisons:
    """Return the table of all gains, drawn on one scale of the fraction right."""
    scale = _Scale.of(
        [value for gain in gains for accuracies in gain.accuracies for value in accuracies]
    )
    title = formatting.capitalised(task.right_title)
    rows = tuple(_comparison(gain, scale, title) for gain in gains)
    return Comparisons(_ticks(scale, title), rows)


def summary(gains: list[Gain], chosen: str | None) -> str:
    """Say whether teachers helped: first for the chosen pupil, then for all pupils.

    Pupils without a control are left out.
    """
    of_chosen = [f"{gain.pupil}: {gain.verdict}." for gain in gains if gain.pupil == chosen]
    others = len(gains) > len(of_chosen)
    return " ".join([*of_chosen, *([_summary_of_all(gains)] if others else [])])


def _summary_of_all(gains: list[Gain]) -> str:
    pupils: dict[Shown, list[str]] = {"gain": [], "loss": [], "nothing": []}
    for gain in gains:
        pupils[gain.shown].append(gain.pupil)
    if not pupils["gain"] and not pupils["loss"]:
        whom = formatting.plural(len(gains), "pupil")
        have = "has" if len(gains) == 1 else "have"
        return f"Of the {whom} that {have} a control, none is shown to gain from its teacher."
    words: dict[Shown, str] = {
        "gain": "gain shown for {}",
        "loss": "loss shown for {}",
        "nothing": "nothing shown for {}",
    }
    phrases = [words[shown].format(_named(names)) for shown, names in pupils.items() if names]
    return f"With a teacher, compared with none: {'; '.join(phrases)}."


def _named(names: list[str]) -> str:
    return (
        formatting.listed(names) if len(names) <= _NAMED else formatting.plural(len(names), "pupil")
    )


def _comparison(gain: Gain, scale: _Scale, title: str) -> Comparison:
    pupil, control = gain.accuracies
    return Comparison(
        gain=gain,
        dots=_dots(pupil, control, scale, title),
        right=(formatting.percent(_mean(pupil)), formatting.percent(_mean(control))),
        main=(_main(gain.main[0]), _main(gain.main[1])),
    )


def _main(spread: Spread | None) -> str:
    return figures.number(spread.mean, spread.unit) if spread else formatting.NONE


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


@dataclass(frozen=True)
class _Scale:
    """An axis between two whole percents, with a few ticks."""

    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> _Scale:
        low, high = min(values, default=0.0), max(values, default=1.0)
        return cls(math.floor(low * 100 - 0.5) / 100, math.ceil(high * 100 + 0.5) / 100)

    def x(self, value: float) -> float:
        fraction = (value - self.low) / (self.high - self.low)
        return _EDGE + fraction * (_WIDTH - 2 * _EDGE)

    @property
    def ticks(self) -> list[float]:
        span = round(100 * (self.high - self.low))
        step = next(step for step in (1, 2, 5, 10, 20, 50) if span / step <= 6)
        first = math.ceil(self.low * 100 / step) * step
        return [value / 100 for value in range(first, round(self.high * 100) + 1, step)]


def _ticks(scale: _Scale, title: str) -> Markup:
    marks = [
        svg.text(scale.x(value), _TICKS_HEIGHT - 3, f"{100 * value:.0f}", "tick", "middle")
        for value in scale.ticks
    ]
    return svg.picture(_WIDTH, _TICKS_HEIGHT, f"{title} in percent", *marks, class_="dots")


def _dots(pupil: list[float], control: list[float], scale: _Scale, title: str) -> Markup:
    grid = [svg.line(scale.x(x), 0, scale.x(x), _HEIGHT, "grid") for x in scale.ticks]
    mine = [_circle(scale.x(value)) for value in pupil]
    theirs = [_triangle(scale.x(value)) for value in control]
    means = [
        svg.line(x, y - 8, x, y + 8, "mean")
        for x, y in (
            (scale.x(_mean(pupil)), _PUPIL_Y),
            (scale.x(_mean(control)), _CONTROL_Y),
        )
    ]
    label = f"{title} by seed: pupil {_percents(pupil)}; control {_percents(control)}"
    marks = (
        svg.element("title", label),
        *grid,
        *means,
        svg.element("g", *mine, class_="spot pupil"),
        svg.element("g", *theirs, class_="spot control"),
    )
    return svg.picture(_WIDTH, _HEIGHT, label, *marks, class_="dots")


def _circle(x: float) -> Markup:
    return svg.element("circle", cx=x, cy=_PUPIL_Y, r=5, class_="mark")


def _triangle(x: float) -> Markup:
    y = _CONTROL_Y
    corners = f"{x:.2f},{y - 5.5:.2f} {x + 5.5:.2f},{y + 4.5:.2f} {x - 5.5:.2f},{y + 4.5:.2f}"
    return svg.element("polygon", points=corners, class_="mark")


def _percents(values: list[float]) -> str:
    return ", ".join(formatting.percent(value) for value in values)
