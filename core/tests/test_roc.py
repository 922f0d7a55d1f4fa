from __future__ import annotations

import numpy as np
import pytest

from pupila.roc import covariance_of, image_effects


def test_the_variance_of_independent_images_is_delongs():
    random = np.random.default_rng(3)
    truth = np.repeat([0, 1], [7, 5])
    scores = np.round(random.random((12, 2)), 1)  # with ties
    positive, negative = scores[truth == 0, 0], scores[truth == 1, 0]
    right = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    expected = right.mean(axis=1).var(ddof=1) / 7 + right.mean(axis=0).var(ddof=1) / 5
    effects = image_effects(scores, truth, [0])[None]
    assert covariance_of(effects, truth)[0, 0] == pytest.approx(expected)


def test_images_that_are_all_there_twice_have_the_variance_of_half_as_many():
    random = np.random.default_rng(4)
    truth = np.repeat([0, 1], [40, 30])
    scores = random.random((70, 2))
    single = covariance_of(image_effects(scores, truth, [0])[None], truth, np.arange(70))
    twice, labels = np.tile(scores, (2, 1)), np.tile(truth, 2)
    effects = image_effects(twice, labels, [0])[None]
    patients = np.tile(np.arange(70), 2)
    assert covariance_of(effects, labels, patients)[0, 0] == pytest.approx(single[0, 0])
    assert covariance_of(effects, labels)[0, 0] < 0.6 * single[0, 0]
