"""Draws how a training went: losses and validation figures by epoch, and the epoch kept."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pupila_flows.report.plots import axes, svg
from pupila_flows.report.plots.axes import Axis
from pupila_flows.report.plots.frame import Frame

_WIDTH, _HEIGHT = 236.0, 168.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 42.0, 10.0, 8.0, 36.0

Curves = Sequence[tuple[str, Sequence[float]]]
"""Pairs of a style class and one value for each epoch."""


def losses(curves: Curves, kept: int, label: str) -> Markup:
    """Draw losses by epoch from 0; a ring marks the epoch `kept`, from 1, on the last curve.

    Screen readers read `label`.
    """
    values = [value for _, curve in curves for value in curve]
    return _draw(curves, axes.of_lengths(values, _HEIGHT - _BOTTOM, _TOP), kept, label, "{:.3g}")


def fractions(curves: Curves, kept: int, label: str) -> Markup:
    """Draw fractions or correlations -1..1 by epoch, in percent; otherwise like `losses`."""
    values = [100 * value for _, curve in curves for value in curve]
    low, high = min(values), max(values)
    room = max(1.0, 0.08 * (high - low))
    lowest = 0.0 if low >= 0 else -100.0
    percent = Axis(max(lowest, low - room), min(100.0, high + room), _HEIGHT - _BOTTOM, _TOP)
    shown = [(style, [100 * value for value in curve]) for style, curve in curves]
    return _draw(shown, percent, kept, label, "{:.4g}")


def _draw(curves: Curves, y: Axis, kept: int, label: str, written: str) -> Markup:
    epochs = max(len(curve) for _, curve in curves)
    frame = Frame(Axis(1.0, max(2.0, epochs), _LEFT, _WIDTH - _RIGHT), y)
    marks = [frame.drawn("epoch", "{:.0f}".format, written.format, most=4)]
    for style, curve in curves:
        marks.append(frame.line(_by_epoch(curve), style))
        marks += [frame.dot(1, value, "dot", 2.5) for value in curve if len(curve) == 1]
    last = curves[-1][1]
    if 1 <= kept <= len(last):
        marks.append(frame.line([(kept, y.low), (kept, y.high)], "chance"))
        marks.append(frame.dot(kept, last[kept - 1], "kept", 5.5))
    return svg.picture(_WIDTH, _HEIGHT, label, *marks, class_="roc learning")


def _by_epoch(curve: Sequence[float]) -> list[tuple[float, float]]:
    return [(float(epoch), value) for epoch, value in enumerate(curve, start=1)]
