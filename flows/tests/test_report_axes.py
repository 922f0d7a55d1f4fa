"""Axes: round values, and places that do not cover each other."""

from __future__ import annotations

import pytest

from pupila_flows.report.plots import axes
from pupila_flows.report.plots.axes import Axis


def test_places_are_moved_apart_as_little_as_can_be() -> None:
    assert axes.spread_out([10, 50, 90], 20, 0, 100) == [10, 50, 90]
    assert axes.spread_out([50, 50], 20, 0, 100) == [40, 60]
    assert axes.spread_out([99, 98], 20, 0, 100) == [100, 80]
    assert axes.spread_out([0, 0, 0], 80, 0, 100) == [0, 50, 100]
    assert axes.spread_out([], 20, 0, 100) == []


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0, 100, 0, 1), [0, 20, 40, 60, 80, 100]),
        (Axis(0.87, 0.99, 0, 1), [0.88, 0.90, 0.92, 0.94, 0.96, 0.98]),
        (Axis(0, 0.4, 0, 1), [0, 0.1, 0.2, 0.3, 0.4]),
        (Axis(4e3, 6e4, 0, 1, logarithmic=True), [5e3, 1e4, 2e4, 5e4]),
        (Axis(4e3, 6e8, 0, 1, logarithmic=True), [1e4, 1e5, 1e6, 1e7, 1e8]),
        (Axis(2.1e3, 4.9e3, 0, 1, logarithmic=True), [3e3, 4e3]),
    ],
)
def test_round_values_are_written_at_an_axis(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks(6) == pytest.approx(ticks)
    places = [axis.position(tick) for tick in ticks]
    assert places == sorted(places) and min(places) >= 0 and max(places) <= 1
