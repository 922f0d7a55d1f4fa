from __future__ import annotations

import numpy as np
import pytest

from pupila_oneclass import baselines
from pupila_oneclass.baselines import LEARNER, METHODS, compared


def features(images, centre, seed, columns=6):
    random = np.random.default_rng(seed)
    return random.normal(centre, 1, (images, columns)).astype(np.float32)


TRAIN = features(200, [5, 5, 5, 0, 0, 0], 0)
INSIDE = features(100, [5, 5, 5, 0, 0, 0], 1)
OUTSIDE = features(100, [0, 0, 0, 5, 5, 5], 2)
ASKED = np.concatenate([INSIDE, OUTSIDE])
IS_POSITIVE = np.arange(200) < 100


@pytest.mark.parametrize("name", METHODS)
def test_a_baseline_gives_more_to_what_is_like_its_training_images(name):
    scores = METHODS[name](TRAIN, ASKED, 0.01)
    assert scores.shape == (200,)
    assert scores.dtype == np.float64
    assert scores[:100].min() > scores[100:].max()


def test_each_is_told_with_the_part_that_it_was_set_to_accept():
    learner = np.where(IS_POSITIVE, 1.0, -1.0) + np.linspace(0, 0.5, 200)
    told = compared(learner, TRAIN, ASKED, IS_POSITIVE, 0.9)
    assert set(told) == {"on_validation"}
    assert set(told["on_validation"]) == {LEARNER, *METHODS}
    for figures in told["on_validation"].values():
        assert figures["auc"]["value"] == 1
        assert figures["accepted"]["value"] == pytest.approx(0.9)
        assert figures["accepted_of_others"]["value"] == 0


def test_a_learner_that_is_clearly_worse_is_warned_of_with_the_figures():
    guessed = np.random.default_rng(3).normal(size=200)
    warning = compared(guessed, TRAIN, ASKED, IS_POSITIVE, 0.9)["warning"]
    assert warning.startswith("Simpler methods are clearly better on the same features: AUROC")
    for name in METHODS:
        assert f"of the {name} 1.000" in warning


def test_where_the_intervals_meet_there_is_no_warning():
    nearly = np.where(IS_POSITIVE, 1.0, -1.0)
    nearly[[0, 199]] = [-2, 2]
    assert "warning" not in compared(nearly, TRAIN, ASKED, IS_POSITIVE, 0.9)


def test_without_other_images_only_what_is_accepted_is_told():
    told = compared(np.arange(100.0), TRAIN, INSIDE, np.ones(100, bool), 0.9)
    assert set(told) == {"on_validation"}
    assert all(set(each) == {"accepted"} for each in told["on_validation"].values())


def test_features_too_wide_for_a_covariance_do_without_it(monkeypatch):
    monkeypatch.setattr(baselines, "_WIDEST", 5)
    told = compared(np.arange(200.0), TRAIN, ASKED, IS_POSITIVE, 0.9)
    assert set(told["on_validation"]) == {LEARNER, "one-class SVM", "nearest neighbour"}
