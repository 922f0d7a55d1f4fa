# pyright: basic
# Losses and their tables of cases are Keras and numbers, which have no types.
from __future__ import annotations

import numpy as np
import pytest

from pupila.training.targets import JoinedTargets, one_hot, pack_targets, softened_mean

FIRST = np.array([[0.9, 0.1], [0.3, 0.7]], np.float32)
SECOND = np.array([[0.6, 0.4], [0.8, 0.2]], np.float32)


def softmax(values):
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def softened(probabilities, temperature):
    return softmax(np.log(probabilities.astype(np.float64)) / temperature)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("weights", [(1, 1), (3, 1), (0.2, 0.8)])
def test_it_is_the_weighted_mean_of_softened_distributions(temperature, weights):
    logits = softened_mean([FIRST, SECOND], weights, temperature)
    parts = [w * softened(p, temperature) for w, p in zip(weights, (FIRST, SECOND), strict=True)]
    assert logits.dtype == np.float32
    assert softmax(logits / temperature) == pytest.approx(sum(parts) / sum(weights), abs=1e-6)


def test_one_value_worked_out_on_paper():
    # T = 2: (.9, .1) softens to (3, 1)/4, (.5, .5) stays; their mean is (5, 3)/8
    even = np.array([[0.5, 0.5]], np.float32)
    logits = softened_mean([FIRST[:1], even], (1, 1), 2.0)
    assert logits[0] == pytest.approx([2 * np.log(5 / 8), 2 * np.log(3 / 8)], rel=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 4.0])
def test_one_teacher_keeps_its_logits_but_for_a_constant(temperature):
    logits = softened_mean([FIRST], [7], temperature)
    difference = logits - np.log(FIRST)
    assert difference[:, 0] == pytest.approx(difference[:, 1], abs=1e-5)


def test_weights_may_be_of_each_image():
    weights = np.array([[1, 0], [0, 1]])
    logits = softened_mean([FIRST, SECOND], weights, 1.0)
    assert softmax(logits) == pytest.approx(np.stack([FIRST[0], SECOND[1]]), abs=1e-6)


@pytest.mark.parametrize("temperature", [0.01, 1.0, 20.0])
def test_what_is_wholly_sure_stays_finite(temperature):
    sure = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    logits = softened_mean([sure, sure[::-1]], (1, 1), temperature)
    assert softmax(logits / temperature) == pytest.approx(np.full((2, 2), 0.5), abs=1e-6)
    assert np.isfinite(softened_mean([sure], [1], temperature)).all()


def test_an_image_without_a_label_has_none():
    assert one_hot(np.array([1, -1, 0]), 2).tolist() == [[0, 1], [0, 0], [1, 0]]


def test_labels_come_first():
    assert pack_targets(FIRST, SECOND).tolist() == np.hstack([FIRST, SECOND]).tolist()


@pytest.mark.parametrize("rows", [np.array([1, 0, 1]), slice(None), slice(1, 2)])
def test_columns_stand_side_by_side_for_the_rows_that_are_asked_for(rows):
    both = JoinedTargets(FIRST, JoinedTargets(SECOND, FIRST[:, :1]))
    assert both.shape == (2, 5)
    np.testing.assert_array_equal(both[rows], pack_targets(FIRST, SECOND, FIRST[:, :1])[rows])
