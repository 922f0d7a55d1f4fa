from __future__ import annotations

from importlib import import_module
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.noninferiority import (
    LEVEL,
    POWER,
    PairedAuc,
    auc_reach,
    check_limit,
    compare_auc,
    compare_proportions,
    critical_score,
    exact_p_value,
    images_needed,
    power,
    proportion_reach,
    score,
)
from pupila.roc import auc

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def paired(gained: int, lost: int, images: int) -> tuple[Bools, Bools]:
    """Answers of a new and a reference classifier that are otherwise right."""
    new, reference = np.ones(images, np.bool_), np.ones(images, np.bool_)
    reference[:gained] = False
    new[gained : gained + lost] = False
    return new, reference


def drawn(
    random: np.random.Generator, runs: int, images: int, discordance: float, difference: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw numbers of gained and of lost images."""
    rates = [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
    counts = random.multinomial(images, rates, runs)
    return counts[:, 0], counts[:, 1]


def binormal(
    random: np.random.Generator, areas: tuple[float, float], images: int, correlation: float
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Draw probabilities of two classifiers with those true areas, and labels, half and half."""
    quantile = import_module("scipy.stats").norm.ppf
    labels = np.arange(images) % 2
    covariance = [[1, correlation], [correlation, 1]]
    scores = random.multivariate_normal([0, 0], covariance, images)
    scores[labels == 0] += np.sqrt(2) * np.array([quantile(area) for area in areas])
    first, second = (1 / (1 + np.exp(-scores))).T
    return np.stack([first, 1 - first], 1), np.stack([second, 1 - second], 1), labels


@pytest.mark.parametrize("null", [-0.2, -0.05, 0.0, 0.1])
@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (0, 3), (4, 1), (5, 5), (10, 1)])
def test_the_p_value_is_what_counting_every_outcome_gives(gained: int, lost: int, null: float):
    images, multinomial = 12, import_module("scipy.stats").multinomial
    outcomes = np.array([(g, k) for g, k in product(range(13), repeat=2) if g + k <= images])
    scores = score(outcomes[:, 0], outcomes[:, 1], images, null)
    extreme = outcomes[scores >= float(score(gained, lost, images, null)) - 1e-9]
    counts = np.column_stack([extreme, images - extreme.sum(axis=1)])
    largest = max(
        multinomial.pmf(counts, images, [(d + null) / 2, (d - null) / 2, 1 - d]).sum()
        for d in np.linspace(abs(null) + 1e-12, 1 - 1e-12, 300)
    )
    assert exact_p_value(gained, lost, images, null) == pytest.approx(largest, abs=2e-4)


def test_the_score_without_a_margin_is_that_of_mcnemar():
    assert float(score(9, 4, 100, 0.0)) == pytest.approx((9 - 4) / np.sqrt(9 + 4))


@pytest.mark.parametrize(("gained", "lost", "null"), [(1, 3, -0.05), (5, 2, 0.1), (0, 4, -0.2)])
def test_the_score_has_the_variance_that_is_likeliest_at_the_margin(
    gained: int, lost: int, null: float
):
    images, gone = 44, np.linspace(max(0, -null), (1 - null) / 2, 2_000_001)[1:-1]
    likelihood = (
        gained * np.log(gone + null)
        + lost * np.log(gone)
        + (images - gained - lost) * np.log(1 - 2 * gone - null)
    )
    rate = gone[likelihood.argmax()]
    expected = (gained - lost - images * null) / np.sqrt(images * (2 * rate + null - null**2))
    assert float(score(gained, lost, images, null)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("images", [10, 40, 107, 400])
@pytest.mark.parametrize("margin", [0.02, 0.05, 0.1])
def test_a_false_pass_at_the_margin_is_never_likelier_than_the_level(images: int, margin: float):
    discordances = np.linspace(margin, 1, 25)
    largest = max(power(images, margin, discordance, -margin) for discordance in discordances)
    assert largest <= LEVEL + 1e-9
    assert largest > 0.4 * LEVEL or images * margin < 3  # not far below either, unless none pass


@pytest.mark.parametrize(
    ("images", "margin", "discordance"),
    [(107, 0.05, 0.05), (107, 0.05, 0.3), (400, 0.03, 0.03), (400, 0.03, 0.1), (900, 0.02, 0.15)],
)
def test_simulated_runs_pass_falsely_as_seldom_and_rightly_as_often_as_computed(
    images: int, margin: float, discordance: float
):
    random, runs = np.random.default_rng(7), 100_000
    critical = critical_score(images, margin)
    for difference in (-margin, 0.0):
        gained, lost = drawn(random, runs, images, discordance, difference)
        passed = float((score(gained, lost, images, -margin) >= critical - 1e-9).mean())
        assert passed == pytest.approx(power(images, margin, discordance, difference), abs=0.006)
        assert difference == 0.0 or passed <= LEVEL + 3 * np.sqrt(LEVEL / runs)


@pytest.mark.parametrize(
    ("gained", "lost", "images", "margin"),
    [
        (0, 0, 107, 0.05),
        (1, 4, 107, 0.05),
        (3, 9, 107, 0.03),
        (0, 30, 107, 0.05),
        (20, 22, 400, 0.03),
        (0, 0, 900, 0.05),
    ],
)
def test_p_value_interval_and_critical_score_agree(
    gained: int, lost: int, images: int, margin: float
):
    comparison = compare_proportions(*paired(gained, lost, images), margin)
    interval = comparison.difference
    assert interval.low <= interval.value == (gained - lost) / images <= interval.high
    assert comparison.noninferior == (interval.low >= -margin)
    assert comparison.inferior == (interval.high <= -margin)
    scored = float(score(gained, lost, images, -margin))
    assert comparison.noninferior == (scored >= critical_score(images, margin))
    assert exact_p_value(gained, lost, images, interval.low) <= LEVEL
    assert exact_p_value(gained, lost, images, interval.low + 2e-4) > LEVEL


@pytest.mark.parametrize("margin", [0.05, 0.4])
@pytest.mark.parametrize("images", [1, 2, 3])
def test_the_interval_of_very_few_images_stays_within_minus_one_and_one(images: int, margin: float):
    counts = product(range(images + 1), repeat=2)
    for gained, lost in [(g, n) for g, n in counts if g + n <= images]:
        comparison = compare_proportions(*paired(gained, lost, images), margin)
        difference = comparison.difference
        assert -1 <= difference.low <= difference.value <= difference.high <= 1
        assert comparison.p_value > LEVEL and not comparison.inferior


def test_swapping_the_classifiers_negates_the_interval():
    new, reference = paired(3, 9, 107)
    one = compare_proportions(new, reference, 0.05).difference
    other = compare_proportions(reference, new, 0.05).difference
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=2e-4)


@pytest.mark.parametrize(
    ("margin", "discordant", "images"),
    [(0.03, 1, 100), (0.03, 2, 40), (0.05, 1, 40), (0.05, 4, 40), (0.1, 2, 40)],
)
def test_the_images_that_are_asked_for_give_the_power(margin: float, discordant: int, images: int):
    wanted = images_needed(discordant, discordant, images, margin)
    assert wanted is not None
    assert wanted > images
    assert POWER - 0.01 <= power(wanted, margin, 2 * discordant / images) <= POWER + 0.05


@pytest.mark.parametrize(
    ("gained", "lost", "margin", "wanted"),
    [
        (2, 2, 0.05, range(150, 250)),
        (6, 2, 0.05, range(250, 400)),  # a gain counts as no difference
        (0, 4, 0.05, range(3_000, 6_000)),
        (0, 5, 0.05, None),
        (0, 6, 0.05, range(3_000, 9_000)),  # that it is worse would be shown
    ],
)
def test_more_images_are_asked_for_the_nearer_the_margin(
    gained: int, lost: int, margin: float, wanted: range | None
):
    images = images_needed(gained, lost, 100, margin)
    assert images is None if wanted is None else images in wanted


@pytest.mark.parametrize("images", [25, 53, 107, 485])
def test_an_equal_model_passes_the_margin_within_reach_in_four_of_five_runs(images: int):
    reach = proportion_reach(images)
    assert reach is not None
    assert power(images, reach, 0.05) >= POWER > power(images, reach - 0.001, 0.05)


def test_the_reach_of_many_images_is_that_of_the_exact_test():
    reach = proportion_reach(3_000)
    assert reach is not None and power(3_000, reach, 0.05) == pytest.approx(POWER, abs=0.06)


def test_nothing_is_within_reach_without_images_of_both_classes():
    assert auc_reach(0, 10) is None and proportion_reach(0) is None
    reach = auc_reach(51, 56)
    assert reach is not None and 0.05 < reach < 0.12


def test_the_difference_of_areas_is_that_of_the_metrics():
    new, reference, labels = binormal(np.random.default_rng(1), (0.9, 0.93), 107, 0.6)
    difference = compare_auc(new, reference, labels, [0], 0.05).difference
    areas = [auc(scores, labels, 0) for scores in (new, reference)]
    assert areas[0] and areas[1]
    assert difference.value == pytest.approx(areas[0].value - areas[1].value)
    assert difference.low < difference.value < difference.high


def test_the_variance_of_areas_is_delongs_with_enough_images():
    """Against placements counted pair by pair (DeLong et al. 1988, equations 4 to 6)."""
    new, reference, labels = binormal(np.random.default_rng(2), (0.8, 0.8), 900, 0.2)
    above, other = (
        (scores[labels == 0, 0][:, None] > scores[labels == 1, 0]).astype(np.float64)
        for scores in (new, reference)
    )
    apart = above - other
    variance = sum(np.var(apart.mean(axis=axis), ddof=1) / 450 for axis in (0, 1))
    interval = compare_auc(new, reference, labels, [0], 0.001).difference
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.05)


def test_of_several_classes_the_mean_area_is_compared():
    random = np.random.default_rng(3)
    labels = random.integers(0, 4, 300)
    new, reference = (random.random((300, 4)) + 0.3 * np.eye(4)[labels] for _ in range(2))
    difference = compare_auc(new, reference, labels, range(4), 0.05).difference
    areas = [auc(scores, labels, 0) for scores in (new, reference)]
    assert areas[0] and areas[1]
    assert difference.value == pytest.approx(areas[0].value - areas[1].value)
    assert difference.low < difference.value < difference.high


@pytest.mark.parametrize(
    ("images", "margin", "passes"), [(60, 0.05, False), (107, 0.02, False), (600, 0.02, True)]
)
def test_two_perfect_classifiers_pass_only_with_enough_images(
    images: int, margin: float, passes: bool
):
    labels = np.arange(images) % 2
    certain = np.eye(2)[labels]
    assert compare_auc(certain, certain, labels, [0], margin).noninferior == passes


@pytest.mark.long
@pytest.mark.parametrize(
    ("areas", "images", "correlation"),
    [((0.979, 0.999), 107, 0.7), ((0.92, 0.97), 60, 0.3)],
)
def test_areas_at_the_margin_seldom_pass(
    areas: tuple[float, float], images: int, correlation: float
):
    random, runs, margin = np.random.default_rng(11), 250, areas[1] - areas[0]
    passed = sum(
        PairedAuc.of(*binormal(random, areas, images, correlation), [0]).p_value(-margin) <= LEVEL
        for _ in range(runs)
    )
    assert passed / runs <= LEVEL + 2 * np.sqrt(LEVEL / runs)


@pytest.mark.long
@pytest.mark.parametrize(("images", "margin"), [(100, 0.04), (160, 0.05)])
def test_a_loss_that_comes_from_few_images_seldom_passes_for_none(images: int, margin: float):
    random, runs, passed = np.random.default_rng(5), 400, 0
    for _ in range(runs):
        _, reference, labels = binormal(random, (0.97, 0.97), images, 0.5)
        new = reference.copy()
        new[(labels == 0) & (random.random(images) < margin / 0.97)] = [0, 1]
        passed += PairedAuc.of(new, reference, labels, [0]).p_value(-margin) <= LEVEL
    assert passed / runs <= LEVEL + 2 * np.sqrt(LEVEL / runs)


@pytest.mark.parametrize(
    ("hits", "images", "limit", "above", "below"),
    [(107, 107, 0.95, True, False), (104, 107, 0.95, False, False), (80, 107, 0.95, False, True)],
)
def test_a_proportion_is_tested_against_its_limit(
    hits: int, images: int, limit: float, above: bool, below: bool
):
    check = check_limit(hits, images, limit)
    assert (check.above, check.below) == (above, below)
    beta = import_module("scipy.stats").beta
    low, high = beta.ppf(0.025, hits, images - hits + 1), beta.ppf(0.975, hits + 1, images - hits)
    assert check.proportion.low == pytest.approx(low, abs=2e-4)
    assert check.proportion.high == pytest.approx(1.0 if hits == images else high, abs=2e-4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: compare_proportions([True], [True, False], 0.1), "shapes (1,) and (2,)"),
        (lambda: compare_proportions([], [], 0.1), "at least one"),
        (lambda: compare_proportions([True], [True], 0), "margin of 0"),
        (lambda: compare_auc(np.ones((2, 2)), np.ones((2, 2)), [0, 0], [0], 0.1), "[2, 0]"),
        (lambda: compare_auc(np.ones((2, 2)), np.ones((3, 2)), [0, 1], [0], 0.1), "(3, 2)"),
        (lambda: check_limit(3, 2, 0.9), "3 of 2 images"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, words: str):  # pyright: ignore
    with pytest.raises(PupilaError) as caught:
        call()
    assert words in str(caught.value)


@pytest.mark.parametrize(("images", "passes"), [(60, 0.0), (200, 1.0)])
def test_models_that_never_differ_pass_always_or_never(images: int, passes: float):
    assert power(images, 0.05, 0.0) == pytest.approx(passes, abs=1e-9)
    assert (exact_p_value(0, 0, images, -0.05) <= LEVEL) == bool(passes)
