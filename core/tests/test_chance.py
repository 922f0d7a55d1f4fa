"""Whether a classifier is above chance."""

from __future__ import annotations

from itertools import combinations, permutations
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.chance import auc_and_p_value, check_chance
from pupila.errors import PupilaError
from pupila.noninferiority import LEVEL

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
TWO = ("glaucoma", "normal")
THREE = ("cat", "dog", "owl")


def _two(positives: list[float], negatives: list[float]) -> tuple[Floats, Integers]:
    first = np.array([*positives, *negatives], np.float64)
    labels = np.repeat([0, 1], [len(positives), len(negatives)])
    return np.stack([first, 1 - first], axis=1), labels.astype(np.int64)


def _by_enumeration(scores: Floats, is_positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Compute area and p-value by definition: over pairs, and over every labelling."""

    def area(chosen: NDArray[np.bool_]) -> float:
        pairs = scores[chosen][:, None] - scores[~chosen][None]
        return float((pairs > 0).mean() + (pairs == 0).mean() / 2)

    areas = list[float]()
    for rows in combinations(range(len(scores)), int(is_positive.sum())):
        chosen = np.zeros(len(scores), np.bool_)
        chosen[list(rows)] = True
        areas.append(area(chosen))
    observed = area(is_positive)
    return observed, float(np.mean(np.array(areas) >= observed - 1e-12))


@pytest.mark.parametrize("seed", range(20))
def test_the_p_value_is_the_fraction_of_labellings_that_rank_as_well_with_ties(seed: int):
    random = np.random.default_rng(seed)
    scores = random.integers(0, random.integers(2, 12), 11) / 10
    is_positive = np.zeros(11, np.bool_)
    is_positive[random.permutation(11)[: random.integers(1, 11)]] = True
    assert auc_and_p_value(scores, is_positive) == pytest.approx(
        _by_enumeration(scores, is_positive)
    )


@pytest.mark.parametrize(
    ("positives", "negatives", "p_value"),
    [(3, 3, 1 / 20), (4, 4, 1 / 70), (2, 7, 1 / 36), (2, 8, 1 / 45), (8, 2, 1 / 45)],
)
def test_few_images_suffice_only_if_perfectly_ordered(
    positives: int, negatives: int, p_value: float
):
    check = check_chance(*_two([0.9] * positives, [0.1] * negatives), TWO)
    assert check.p_value == pytest.approx(p_value)
    assert check.above == (p_value <= LEVEL)


def test_one_image_of_a_class_never_suffices():
    check = check_chance(*_two([0.9], list(np.linspace(0, 0.5, 200))), TWO)
    assert check.p_value == pytest.approx(1 / 201)
    assert not check.above
    assert "at least 2 of each class" in check.describe("validation")
    assert "201 validation images (1 glaucoma, 200 normal)" in check.describe("validation")


def test_no_images_show_nothing():
    for classes in (TWO, THREE):
        check = check_chance(np.zeros((0, len(classes))), np.zeros(0), classes)
        assert not check.above
        assert check.images == 0
        assert "on 0 validation images" in check.describe("validation")


@pytest.mark.parametrize("positives", [30, 400])
def test_swapped_classes_are_found(positives: int):
    random = np.random.default_rng(1)
    scores = _two(
        list(random.uniform(0, 0.5, positives)), list(random.uniform(0.4, 1, 2 * positives))
    )
    check = check_chance(*scores, TWO, "glaucoma")
    assert check.reached is not None
    assert check.reached < 0.1
    assert not check.above
    assert check.order == ("normal", "glaucoma")
    assert check.order_reaches == pytest.approx(1 - check.reached)


def test_no_other_order_is_advised_slightly_below_chance():
    check = check_chance(*_two(list(np.arange(0, 40, 2.0)), list(np.arange(3, 43, 2.0))), TWO)
    assert check.reached is not None
    assert 0.4 < check.reached < 0.5
    assert not check.above
    assert check.order is None


def test_the_result_is_the_same_for_either_class():
    random = np.random.default_rng(4)
    scores = random.dirichlet([1, 1], 60)
    labels = (random.random(60) < 0.3 + 0.4 * scores[:, 1]).astype(int)
    ours, other = (check_chance(scores, labels, TWO, name) for name in TWO)
    assert ours.p_value == pytest.approx(other.p_value)
    assert ours.reached == pytest.approx(other.reached)


def test_shuffled_labels_give_the_p_value_of_the_normal_approximation():
    random = np.random.default_rng(5)
    is_positive = np.arange(4000) < 1500
    scores = random.normal(0.068 * is_positive, 1)
    area, p_value = auc_and_p_value(scores, is_positive)
    z = (area - 0.5) / np.sqrt(4001 / (12 * 1500 * 2500))
    assert p_value == pytest.approx(1 - NormalDist().cdf(z), abs=0.005)


def test_the_level_is_kept():
    """Of 4,000 samples of noise with ties, 7 and 9 images, at most 2.5 % are above chance."""
    random = np.random.default_rng(6)
    is_positive = np.arange(16) < 7
    passed = [
        auc_and_p_value(random.integers(0, 6, 16).astype(float), is_positive)[1] <= LEVEL
        for _ in range(4000)
    ]
    assert np.mean(passed) <= LEVEL + 2 * np.sqrt(LEVEL * (1 - LEVEL) / 4000)


def _three(answers: Integers) -> Floats:
    return np.eye(3)[answers] * 0.8 + 0.05


def test_with_three_classes_the_interval_must_exceed_the_share_of_the_largest_class():
    labels = np.repeat([0, 1, 2], [60, 20, 20])
    always_the_largest = check_chance(_three(np.zeros(100, int)), labels, THREE)
    assert always_the_largest.reached == always_the_largest.chance == 0.6
    assert not always_the_largest.above
    nearly = np.where(np.arange(100) < 92, labels, (labels + 1) % 3)
    good = check_chance(_three(nearly), labels, THREE)
    assert good.reached == 0.92
    assert good.interval is not None
    assert good.interval.low == pytest.approx(0.848, abs=0.001)  # Clopper and Pearson of 92 of 100
    assert good.above
    barely = np.where(np.arange(100) < 69, labels, (labels + 1) % 3)
    assert not check_chance(_three(barely), labels, THREE).above  # 0.69: from 0.590


@pytest.mark.parametrize("typed", [order for order in permutations(range(3)) if order != (0, 1, 2)])
def test_with_three_classes_the_order_of_the_model_is_found(typed: tuple[int, ...]):
    """The model's columns are `THREE`, but were typed in another order."""
    truth = np.repeat([0, 1, 2], 20)
    answers = np.where(np.arange(60) % 10 == 0, (truth + 1) % 3, truth)
    classes = tuple(THREE[index] for index in typed)
    labels = np.array([classes.index(THREE[index]) for index in truth])
    check = check_chance(_three(answers), labels, classes)
    assert not check.above
    assert check.order == THREE
    assert check.order_reaches == 0.9


def test_one_image_of_each_patient_counts():
    """3 and 3 patients with 20 images each cannot show anything: p is 1 / 20."""
    scores, labels = _two([0.9] * 60, [0.1] * 60)
    alone = check_chance(scores, labels, TWO)
    assert alone.above
    check = check_chance(scores, labels, TWO, patients=np.repeat(np.arange(6), 20))
    assert check.p_value == pytest.approx(1 / 20)
    assert not check.above
    assert "on 6 test images, one of each patient (3 glaucoma, 3 normal)" in check.describe("test")


def test_labels_and_probabilities_that_do_not_fit_are_refused():
    with pytest.raises(PupilaError, match=r"shape \(4, 2\)"):
        check_chance(np.zeros((4, 2)), np.zeros(5), TWO)
    with pytest.raises(PupilaError, match="Labels"):
        check_chance(np.zeros((1, 2)), np.array([2]), TWO)


def test_patients_with_images_of_both_classes_count_for_both_classes() -> None:
    """All 40 patients have an image of each class; those of one class are listed first."""
    scores, labels = _two([0.9] * 40, [0.1] * 40)
    check = check_chance(scores, labels, TWO, patients=np.tile(np.arange(40), 2))
    assert check.counts == {"glaucoma": 20, "normal": 20}
    assert check.above


def test_patients_with_images_of_both_classes_count_for_the_smaller_class() -> None:
    """6 patients have images of both classes, 6 of the first only: these balance the counts."""
    scores, labels = _two([0.9] * 12, [0.1] * 6)
    patients = np.concatenate([np.arange(12), np.arange(6)])
    check = check_chance(scores, labels, TWO, patients=patients)
    assert check.counts == {"glaucoma": 6, "normal": 6}
