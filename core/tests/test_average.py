"""The running mean of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pupila.training.average import Average, keras, tf


@pytest.mark.parametrize("made", [keras.Variable, tf.Variable])
def test_it_is_the_mean_in_which_the_last_steps_count_most(made: Any):
    weights, steps = made([1.0, 5.0]), made(3)
    average = Average([weights, steps], decay=0.5)
    for value in ([2.0, 5.0], [4.0, 5.0], [8.0, 6.0]):
        weights.assign(value)
        average.update()
    with average.in_place():
        expected = [(2 / 4 + 4 / 2 + 8) / 1.75, (5 / 4 + 5 / 2 + 6) / 1.75]
        assert np.array(weights) == pytest.approx(expected)
        assert np.array(steps) == 3
    assert np.array(weights).tolist() == [8, 6]


def test_with_a_decay_near_one_it_is_the_mean_of_all_steps():
    weights: Any = keras.Variable(0.0)
    average = Average([weights], decay=1 - 1e-9)
    for value in (1, 2, 6):
        weights.assign(value)
        average.update()
    with average.in_place():
        assert float(weights) == pytest.approx(3)


def test_weights_are_restored_if_evaluating_fails():
    weights: Any = keras.Variable(1.0)
    average = Average([weights], decay=0.5)
    average.update()
    weights.assign(7)
    with pytest.raises(KeyError), average.in_place():
        raise KeyError
    assert float(weights) == 7
