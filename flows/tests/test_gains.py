"""The gain of teaching, over images and seeds: by hand, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from pupila_flows.report.sections.seed_statistics import mean_over_images_and_seeds


def test_images_of_one_patient_count_as_what_they_tell() -> None:
    once = np.random.default_rng(4).choice([-1.0, 0.0, 1.0], (1, 60), p=[0.1, 0.8, 0.1])
    thrice, patients = np.tile(once, 3), np.tile(np.arange(60), 3)
    single, by_patient, as_if = (
        mean_over_images_and_seeds(once, (1, -1)),
        mean_over_images_and_seeds(thrice, (1, -1), patients),
        mean_over_images_and_seeds(thrice, (1, -1)),
    )
    width = by_patient.high - by_patient.low
    assert 0.85 < width / (single.high - single.low) < 1.05
    assert as_if.high - as_if.low < 0.7 * width
    assert by_patient.method.endswith("by patient")


def test_the_interval_over_images_and_seeds_is_the_one_worked_out_by_hand():
    values = np.array([[1.0, 0, 0, 0], [1, 0, -1, 0]])
    # means over seeds 1, 0, -1/2, 0; with +1 and -1 beside them, mean 1/12, variance 31/72
    images = np.array([1, 0, -0.5, 0, 1, -1])
    of_images = images.var() / 6
    of_seeds = np.array([0.25, 0.0]).var(ddof=1) / 2
    freedom = (of_images + of_seeds) ** 2 / (of_images**2 / 5 + of_seeds**2 / 1)
    half = float(stdtrit(freedom, 0.975)) * (of_images + of_seeds) ** 0.5
    estimate = mean_over_images_and_seeds(values, (1, -1))
    assert estimate.value == pytest.approx(0.125)
    assert estimate.low == pytest.approx(max(-1, 1 / 12 - half))
    assert estimate.high == pytest.approx(min(1, 1 / 12 + half))


def test_answers_that_are_all_alike_leave_an_interval():
    estimate = mean_over_images_and_seeds(np.zeros((3, 107)), (1, -1))
    assert estimate.value == 0
    assert -0.05 < estimate.low < -0.01 < 0.01 < estimate.high < 0.05


def test_with_one_seed_it_is_nearly_the_interval_of_bonett_and_price():
    random = np.random.default_rng(1)
    first, second = random.random((2, 107)) < [[0.95], [0.9]]
    ours = mean_over_images_and_seeds((first * 1.0 - second)[np.newaxis], (1, -1))
    gained, lost = ((1 + np.sum(rows)) / 109 for rows in (first & ~second, second & ~first))
    half = 1.96 * ((gained + lost - (gained - lost) ** 2) / 109) ** 0.5
    assert ours.value == pytest.approx(first.mean() - second.mean())
    assert ours.low == pytest.approx(gained - lost - half, abs=0.002)
    assert ours.high == pytest.approx(gained - lost + half, abs=0.002)


@pytest.mark.parametrize(("spread_of_images", "spread_of_seeds"), [(1.5, 0.0), (1.5, 0.5), (0, 0)])
def test_the_interval_holds_the_truth_as_often_as_it_says(
    spread_of_images: float, spread_of_seeds: float
):
    """Simulate pupil and control: images of different difficulty, seeds of different luck."""
    random = np.random.default_rng(7)
    runs, seeds, images = 1500, 3, 107
    inside = 0
    truth = _gain(spread_of_images, spread_of_seeds, random)
    for _ in range(runs):
        difficulty = spread_of_images * random.standard_normal(images)
        luck = spread_of_seeds * random.standard_normal((2, seeds, 1))
        odds = np.array(_LEVELS)[:, None, None] + difficulty + luck
        chances: NDArray[np.float64] = 1 / (1 + np.exp(-odds))
        right = np.where(np.less(random.random((2, seeds, images)), chances), 1.0, 0.0)
        estimate = mean_over_images_and_seeds(right[0] - right[1], (1, -1))
        inside += estimate.low <= truth <= estimate.high
    assert 0.93 <= inside / runs <= 0.998


_LEVELS = (3.0, 2.5)
"""Log odds of a right answer of pupil and control to an image of middling difficulty."""


def _gain(spread_of_images: float, spread_of_seeds: float, random: np.random.Generator) -> float:
    """Return the true difference of accuracies, by drawing very many images and seeds."""
    difficulty = spread_of_images * random.standard_normal(400_000)
    luck = spread_of_seeds * random.standard_normal((2, 400_000))
    chances = 1 / (1 + np.exp(-(np.array(_LEVELS)[:, None] + difficulty + luck)))
    return float(chances[0].mean() - chances[1].mean())
