"""Pseudo-subclasses: principal components of the features of each class beside its logits."""

from __future__ import annotations

import numpy as np
import pytest

from pupila import PupilaError
from pupila_distill.subclasses import SubclassTargets, fit_subclasses

CLASSES = ("blue", "red")
RANDOM = np.random.default_rng(0)
LABELS = np.array([0] * 30 + [1] * 20 + [-1] * 10)
SPREAD = np.array([9.0, 7, 5, 3, 1, 0.5])
MIXING = RANDOM.normal(size=(6, 6))
FEATURES = (RANDOM.normal(size=(60, 6)) * SPREAD @ MIXING).astype(np.float32)
KERNEL = RANDOM.normal(size=(6, 2))


def split(count=2, temperature=1.0, seed=0, features=FEATURES, labels=LABELS, kernel=KERNEL):
    return fit_subclasses(features, labels, CLASSES, kernel, count, temperature, seed)


def inner(features, label):
    """N (h - m) of the images of a class, by the pseudo-inverse."""
    own = features[label == LABELS].astype(np.float64)
    beside = np.eye(6) - KERNEL @ np.linalg.pinv(KERNEL)
    return (own - own.mean(axis=0)) @ beside


def coordinates(subclasses, features=FEATURES):
    return features.astype(np.float64) @ subclasses.directions - subclasses.offsets


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("label", [0, 1])
def test_directions_span_the_principal_components_beside_the_logits(count, label):
    subclasses = split(count)
    own = subclasses.directions[:, label * count : (label + 1) * count]
    _, sizes, components = np.linalg.svd(inner(FEATURES, label), full_matrices=False)
    first = components[:count]
    assert np.abs(own.T @ KERNEL).max() < 1e-8
    assert own @ np.linalg.pinv(own) == pytest.approx(first.T @ first, abs=1e-7)
    total = np.square(FEATURES[label == LABELS] - FEATURES[label == LABELS].mean(axis=0)).sum()
    assert subclasses.explained[label] == pytest.approx(
        (sizes[:count] ** 2).sum() / total, abs=1e-3
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_coordinates_of_a_class_have_mean_0_and_root_mean_square_1(seed):
    own = coordinates(split(3, seed=seed))[LABELS == 1, 3:]
    assert own.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-5)
    assert np.square(own).mean() == pytest.approx(1)


def test_a_random_rotation_gives_all_directions_one_expected_variance():
    variances = np.mean(
        [coordinates(split(3, seed=seed))[LABELS == 0, :3].var(axis=0) for seed in range(300)],
        axis=0,
    )
    assert variances == pytest.approx(np.ones(3), abs=0.1)
    whole = inner(FEATURES, 0)
    sizes = np.linalg.svd(whole, compute_uv=False)[:3] ** 2
    assert sizes.max() > 3 * sizes.min(), "without it they would differ"


def test_one_value_worked_out_on_paper(monkeypatch):
    """Without rotation: logits along the first axis, classes at (5, ±1) and (-5, ±3) beside 0."""
    monkeypatch.setattr("pupila_distill.subclasses._rotation", lambda size, _: np.eye(size))
    features = np.array([[5, 1, 0, 0.5], [5, -1, 0, -0.5], [5, -1, 0, 0.5], [5, 1, 0, -0.5]])
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    both = np.concatenate([features, features * [-1, 3, 1, 3]]).astype(np.float32)
    subclasses = split(features=both, labels=labels, kernel=np.array([[1.0], [0], [0], [0]]))
    # the variances are 1 and 1/4 (9 and 9/4): their mean is 5/8 (45/8); σ is its square root
    size = 1 / np.sqrt(5 / 8)
    wanted = np.exp([size, size / 2]) / np.exp([size, size / 2]).sum()
    probabilities = np.sort(subclasses.of(both[:1]).reshape(2, 2)[0])
    assert probabilities == pytest.approx(np.sort(wanted), abs=1e-6)
    assert subclasses.explained == [1, 1]


def test_subclasses_of_a_class_sum_to_one_and_a_temperature_softens_them():
    cold, warm = (split(3, temperature=temperature).of(FEATURES) for temperature in (0.2, 5))
    for shares in (cold, warm):
        assert shares.reshape(60, 2, 3).sum(axis=2) == pytest.approx(np.ones((60, 2)), abs=1e-6)
    raised = np.exp(coordinates(split(3))[:, :3] / 5)
    assert warm[:, :3] == pytest.approx(raised / raised.sum(axis=1, keepdims=True), rel=1e-4)
    assert cold.max(axis=1).mean() > 0.9 > 0.5 > warm.max(axis=1).mean()


def test_features_are_read_in_chunks_and_unlabelled_ones_are_ignored(monkeypatch):
    whole = split(3)
    monkeypatch.setattr("pupila_distill.subclasses._CHUNK", 7)
    assert split(3).directions == pytest.approx(whole.directions, rel=1e-6)
    altered = np.concatenate([FEATURES[:50], 100 * FEATURES[50:]])
    assert split(3, features=altered).directions == pytest.approx(whole.directions, rel=1e-6)


def test_targets_are_computed_for_the_rows_that_are_read():
    subclasses, rows = split(3), np.array([59, 3, 3])
    targets = SubclassTargets(FEATURES, subclasses)
    assert targets.shape == (60, 6)
    assert (targets[rows] == subclasses.of(FEATURES[rows])).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"count": 5}, "30 labelled images of 'blue' differ in no more than 4 directions"),
        ({"labels": np.where(np.arange(60) < 3, 1, 0)}, "3 labelled images of 'red' .* than 2"),
        ({"features": np.ones((60, 6), np.float32)}, "than 0 directions .* more labelled images"),
        ({"features": np.outer(np.arange(60), KERNEL[:, 0])}, "than 0 directions"),
        ({"features": FEATURES @ np.diag([1, 0, 1, 0, 0, 0]), "kernel": KERNEL[:, :1]}, "than 2 d"),
        ({"labels": np.zeros(60, np.int64)}, "the 0 labelled images of 'red'"),
    ],
)
def test_more_subclasses_than_directions_are_refused(changes, said):
    with pytest.raises(PupilaError, match=said):
        split(**({"count": 3} | changes))
