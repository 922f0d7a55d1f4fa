from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from drawn_answers import binormal, two_columns

from pupila.roc import auc, auc_interval, covariance_of, image_effects


def test_the_variance_of_independent_images_is_that_of_delong():
    random = np.random.default_rng(3)
    truth = np.repeat([0, 1], [7, 5])
    scores = np.round(random.random((12, 2)), 1)  # with ties
    positive, negative = scores[truth == 0, 0], scores[truth == 1, 0]
    right = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    expected = right.mean(axis=1).var(ddof=1) / 7 + right.mean(axis=0).var(ddof=1) / 5
    effects = image_effects(scores, truth, [0])[None]
    assert covariance_of(effects, truth)[0, 0] == pytest.approx(expected)


def test_duplicated_images_have_the_variance_of_half_as_many():
    random = np.random.default_rng(4)
    truth = np.repeat([0, 1], [40, 30])
    scores = random.random((70, 2))
    single = covariance_of(image_effects(scores, truth, [0])[None], truth, np.arange(70))
    twice, labels = np.tile(scores, (2, 1)), np.tile(truth, 2)
    effects = image_effects(twice, labels, [0])[None]
    patients = np.tile(np.arange(70), 2)
    assert covariance_of(effects, labels, patients)[0, 0] == pytest.approx(single[0, 0])
    assert covariance_of(effects, labels)[0, 0] < 0.6 * single[0, 0]


@pytest.mark.parametrize(
    ("positives", "negatives", "expected"),
    [
        ([0.9, 0.8], [0.1, 0.2], 1.0),
        ([0.1, 0.2], [0.9, 0.8], 0.0),
        ([0.5, 0.5], [0.5, 0.5], 0.5),
        ([0.9, 0.5], [0.5, 0.1], 7 / 8),
        ([0.3, 0.7], [0.5], 0.5),
    ],
)
def test_ties_count_half_in_the_area(
    positives: list[float], negatives: list[float], expected: float
):
    truth = np.repeat([0, 1], [len(positives), len(negatives)])
    estimate = auc(two_columns(positives + negatives), truth, column=0)
    assert estimate is not None
    assert estimate.value == pytest.approx(expected)


def test_the_area_is_that_of_scikit_learn():
    random = np.random.default_rng(3)
    metrics: Any = import_module("sklearn.metrics")
    truth = random.integers(0, 2, 300)
    drawn = random.random(300) * 0.5 + (truth == 0) * 0.3
    positive = (drawn * 100).astype(np.int64) / 100  # with many ties
    estimate = auc(two_columns(positive), truth, column=0)
    assert estimate is not None
    assert estimate.value == pytest.approx(metrics.roc_auc_score(truth == 0, positive))

    labels = random.integers(0, 4, 300)
    scores = random.dirichlet(np.ones(4), 300) * 0.7 + np.eye(4)[labels] * 0.3
    many = auc(scores, labels, column=0)
    assert many is not None
    assert many.value == pytest.approx(metrics.roc_auc_score(labels, scores, multi_class="ovr"))
    assert many.low < many.value < many.high


def test_the_limits_of_the_area_solve_newcombes_equation():
    area, positives, negatives = 0.9, 59, 48
    extra = (positives + negatives) / 2 - 1
    for theta in auc_interval(area, positives, negatives):
        hanley = 1 + extra * (1 - theta) / (2 - theta) + extra * theta / (1 + theta)
        variance = theta * (1 - theta) * hanley / (positives * negatives)
        assert abs(area - theta) == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-5)


def test_a_perfect_area_on_few_images_keeps_a_wide_interval():
    low, high = auc_interval(1.0, 59, 48)
    assert high == 1
    assert 0.95 < low < 0.97
    assert auc_interval(1.0, 5, 5)[0] < 0.7
    mirrored = auc_interval(0.0, 48, 59)
    assert mirrored == pytest.approx((0, 1 - low))


@pytest.mark.parametrize("area", [0.8, 0.95, 0.99])
def test_the_interval_of_the_area_has_its_coverage(area: float):
    random = np.random.default_rng(20)
    repeats, held = 1500, 0
    for _ in range(repeats):
        positive, truth = binormal(random, area, 50, 50)
        estimate = auc(two_columns(positive), truth, column=0)
        assert estimate is not None
        held += estimate.low <= area <= estimate.high
    assert 0.93 <= held / repeats <= 0.995


def test_an_area_needs_both_classes():
    assert auc(two_columns([0.9, 0.8]), np.array([0, 0]), column=0) is None


@pytest.mark.parametrize("wrong", [0.03, 0.1])
@pytest.mark.parametrize(("positives", "negatives"), [(50, 50), (240, 245)])
def test_the_interval_of_the_area_has_its_coverage_with_a_few_completely_wrong_answers(
    positives: int, negatives: int, wrong: float
):
    random = np.random.default_rng(20)
    repeats, held = 1000, 0
    for _ in range(repeats):
        positive, truth = binormal(random, 0.97, positives, negatives, wrong)
        estimate = auc(two_columns(positive), truth, column=0)
        assert estimate is not None
        held += estimate.low <= 0.97 * (1 - wrong) <= estimate.high
    assert 0.92 <= held / repeats <= 0.99


def test_three_perfectly_separated_classes_keep_a_wide_interval():
    truth = np.repeat([0, 1, 2], [20, 30, 40])
    estimate = auc(np.eye(3)[truth] * 0.8 + 0.1, truth, column=0)
    assert estimate is not None
    assert (estimate.value, estimate.high) == (1, 1)
    assert estimate.low == auc_interval(1, 20, 70)[0] < 0.96


@pytest.mark.parametrize("wrong", [0.0, 0.1])
def test_the_interval_of_the_mean_of_three_areas_has_its_coverage(wrong: float):
    random = np.random.default_rng(5)

    def draw(images: int) -> tuple[Any, Any]:
        truth = np.repeat([0, 1, 2], images)
        logits = random.normal(0, 1, (3 * images, 3)) + 2 * np.eye(3)[truth]
        off = random.random(3 * images) < wrong
        logits[off] += 9 * np.eye(3)[(truth[off] + 1) % 3]
        odds = np.exp(logits)
        return odds / odds.sum(axis=1, keepdims=True), truth

    large = auc(*draw(20_000), column=0)
    assert large is not None
    held, repeats = 0, 400
    for _ in range(repeats):
        estimate = auc(*draw(40), column=0)
        assert estimate is not None
        held += estimate.low <= large.value <= estimate.high
    assert held / repeats >= 0.93


def test_the_interval_by_patient_covers_the_true_area_and_that_by_image_does_not():
    random = np.random.default_rng(7)
    held, held_without, repeats, true = 0, 0, 500, 0.8019
    for _ in range(repeats):
        patients = np.repeat(np.arange(80), random.integers(1, 5, 80))
        truth = patients % 2
        alike = random.normal(0, np.sqrt(0.9), 80)[patients]
        scores = alike + random.normal(0, np.sqrt(0.1), len(patients)) + 1.2 * (truth == 0)
        columns = np.stack([scores, -scores], axis=1)
        for by in (patients, None):
            estimate = auc(columns, truth, 0, by)
            assert estimate is not None
            inside = estimate.low <= true <= estimate.high
            held, held_without = (
                held + (inside and by is not None),
                held_without + (inside and by is None),
            )
    assert held / repeats >= 0.93
    assert held_without / repeats < 0.85
