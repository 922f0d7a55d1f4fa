from __future__ import annotations

import math

import numpy as np
import pytest

from pupila.evaluation import OperatingPoint
from pupila.intervals import proportion
from pupila.predictive_values import likelihood_ratios, predictive_values


def point(detected: int, ill: int, cleared: int, well: int) -> OperatingPoint:
    return OperatingPoint(
        threshold=0.5,
        chosen_on="validation",
        sensitivity=proportion(detected, ill),
        specificity=proportion(cleared, well),
    )


@pytest.mark.parametrize("counts", [(54, 59, 41, 48), (1, 10, 3, 90), (50, 50, 9, 10)])
def test_at_the_prevalence_of_the_images_they_are_the_fractions_of_the_answers(
    counts: tuple[int, int, int, int],
):
    detected, ill, cleared, well = counts
    ppv, npv = predictive_values(point(*counts), ill / (ill + well))
    assert ppv.value == pytest.approx(detected / (detected + well - cleared))
    assert npv.value == pytest.approx(cleared / (cleared + ill - detected))
    assert ppv.low < ppv.value < ppv.high and npv.low < npv.value <= npv.high


def test_where_the_disease_is_rare_a_positive_answer_is_mostly_wrong():
    ppv, npv = predictive_values(point(54, 59, 41, 48), 0.01)
    odds = 0.01 / 0.99 * (54 / 59) / (7 / 48)
    assert ppv.value == pytest.approx(odds / (1 + odds)) and ppv.high < 0.15
    assert npv.value > 0.99


@pytest.mark.parametrize(
    ("counts", "ppv", "npv"),
    [
        ((20, 20, 30, 30), (0.8, 1.0, 1.0), (0.8, 1.0, 1.0)),
        ((0, 20, 30, 30), (0.0, math.nan, 1.0), (0.5, 0.6, 0.7)),
        ((20, 20, 0, 30), (0.3, 0.4, 0.5), (0.0, math.nan, 1.0)),
    ],
)
def test_answers_that_never_err_or_are_never_given_have_an_honest_interval(
    counts: tuple[int, int, int, int],
    ppv: tuple[float, float, float],
    npv: tuple[float, float, float],
):
    for estimate, (least, value, most) in zip(
        predictive_values(point(*counts), 0.4), (ppv, npv), strict=True
    ):
        assert estimate.value == pytest.approx(value, nan_ok=True)
        assert least <= estimate.low <= estimate.high <= most


def test_the_intervals_of_likelihood_ratios_cover_the_true_ratio():
    random, sensitivity, specificity, covered = np.random.default_rng(5), 0.9, 0.8, [0, 0]
    ratios = sensitivity / (1 - specificity), (1 - sensitivity) / specificity
    for detected, cleared in zip(
        random.binomial(60, sensitivity, 1000), random.binomial(50, specificity, 1000), strict=True
    ):
        drawn = likelihood_ratios(point(int(detected), 60, int(cleared), 50))
        for row, (estimate, ratio) in enumerate(zip(drawn, ratios, strict=True)):
            covered[row] += estimate.low <= ratio <= estimate.high
    assert all(930 <= count <= 980 for count in covered), covered
