"""The learning rate is the one that Keras computes from the same numbers."""

from __future__ import annotations

import pytest

from pupila.training.fitting import optimizer
from pupila.training.schedule import LearningRate, Schedule

STEPS = 3


@pytest.mark.parametrize("epochs", [1, 5])
def test_the_learning_rate_is_that_of_the_optimizer(epochs: int) -> None:
    schedule = Schedule(epochs=epochs, learning_rate=2e-2)
    of_keras = optimizer(schedule, STEPS)._learning_rate
    rate = LearningRate.of(schedule, STEPS)
    steps = range(epochs * STEPS)
    expected = [float(of_keras(step)) for step in steps]
    assert [rate.at(step) for step in steps] == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_it_rises_for_an_epoch_and_falls_to_nothing() -> None:
    rate = LearningRate.of(Schedule(epochs=5, learning_rate=1.0), STEPS)
    assert rate.at(0) == pytest.approx(0.1)
    assert rate.at(STEPS) == pytest.approx(1)
    assert rate.at(5 * STEPS) == pytest.approx(0, abs=1e-12)
