from __future__ import annotations

import numpy as np
import pytest

from pupila_oneclass import baselines
from pupila_oneclass.baselines import LEARNER, METHODS, compare_with_baselines


def features(images, centre, seed, columns=6):
    random = np.random.default_rng(seed)
    return random.normal(centre, 1, (images, columns)).astype(np.float32)


TRAIN = features(200, [5, 5, 5, 0, 0, 0], 0)
INSIDE = features(100, [5, 5, 5, 0, 0, 0], 1)
OUTSIDE = features(100, [0, 0, 0, 5, 5, 5], 2)
FEATURES = np.concatenate([INSIDE, OUTSIDE])
IS_POSITIVE = np.arange(200) < 100


@pytest.mark.parametrize("name", METHODS)
def test_a_baseline_scores_images_like_its_training_images_higher(name):
    scores = METHODS[name](TRAIN, FEATURES, 0.01)
    assert scores.shape == (200,)
    assert scores.dtype == np.float64
    assert scores[:100].min() > scores[100:].max()


def test_each_method_accepts_its_target_sensitivity():
    learner = np.where(IS_POSITIVE, 1.0, -1.0) + np.linspace(0, 0.5, 200)
    measured = compare_with_baselines(learner, TRAIN, FEATURES, IS_POSITIVE, 0.9)
    assert set(measured) == {"on_validation"}
    assert set(measured["on_validation"]) == {LEARNER, *METHODS}
    for quality in measured["on_validation"].values():
        assert quality["auc"]["value"] == 1
        assert quality["accepted"]["value"] == pytest.approx(0.9)
        assert quality["accepted_of_others"]["value"] == 0


def test_a_classifier_that_is_clearly_worse_gets_a_warning_with_the_figures():
    guessed = np.random.default_rng(3).normal(size=200)
    warning = compare_with_baselines(guessed, TRAIN, FEATURES, IS_POSITIVE, 0.9)["warning"]
    assert warning.startswith("Simpler methods are clearly better on the same features: AUROC")
    for name in METHODS:
        assert f"of the {name} 1.000" in warning


def test_overlapping_intervals_give_no_warning():
    nearly = np.where(IS_POSITIVE, 1.0, -1.0)
    nearly[[0, 199]] = [-2, 2]
    assert "warning" not in compare_with_baselines(nearly, TRAIN, FEATURES, IS_POSITIVE, 0.9)


def test_without_other_images_only_the_accepted_fraction_is_measured():
    measured = compare_with_baselines(np.arange(100.0), TRAIN, INSIDE, np.ones(100, bool), 0.9)
    assert set(measured) == {"on_validation"}
    qualities = measured["on_validation"].values()
    assert all(set(quality) == {"accepted"} for quality in qualities)


def test_too_many_features_for_a_covariance_leave_mahalanobis_out(monkeypatch):
    monkeypatch.setattr(baselines, "_WIDEST", 5)
    measured = compare_with_baselines(np.arange(200.0), TRAIN, FEATURES, IS_POSITIVE, 0.9)
    assert set(measured["on_validation"]) == {LEARNER, "one-class SVM", "nearest neighbour"}
