"""How often intervals and tests of the best of many models are wrong, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pupila.intervals import proportion
from pupila_search.multiple_comparisons import MultipleComparisons

RUNS, CANDIDATES, IMAGES, TRUTH = 1000, 160, 105, 0.94


def _wrong(random, chances, shared):
    """Draw what models get wrong; `shared` is the part of the images that decides for all alike."""
    draws = random.random((len(chances), IMAGES))
    alike = np.where(random.random(IMAGES) < shared, random.random(IMAGES), np.nan)
    draws = np.where(np.isnan(alike), draws, alike)
    return [np.flatnonzero(row >= chance) for row, chance in zip(draws, chances, strict=True)]


def _at_most(part):
    """Return the most runs, of an expected fraction, that chance can explain."""
    return RUNS * part + 3 * math.sqrt(RUNS * part * (1 - part))


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_the_interval_of_the_best_of_many_equal_models_holds_the_truth(shared):
    """The interval of that one accuracy alone, by Wilson, misses it in four of five runs."""
    random, comparisons = np.random.default_rng(5), MultipleComparisons(IMAGES, CANDIDATES)
    missed = alone = 0
    for _ in range(RUNS):
        best = min(_wrong(random, [TRUTH] * CANDIDATES, shared), key=len)
        shown = comparisons.interval(best)
        missed += not shown.low <= TRUTH <= shown.high
        plain = proportion(IMAGES - len(best), IMAGES)
        alone += not plain.low <= TRUTH <= plain.high
    assert missed <= _at_most(0.025)
    if not shared:
        assert alone / RUNS == pytest.approx(0.83, abs=0.05)


def test_the_truly_best_model_is_almost_always_tied_with_the_chosen_one():
    random, comparisons = np.random.default_rng(6), MultipleComparisons(IMAGES, CANDIDATES)
    chances = [0.96, *([0.94] * (CANDIDATES - 1))]
    lost = 0
    for _ in range(RUNS):
        wrong = _wrong(random, chances, 0.3)
        chosen = min(wrong, key=len)
        lost += comparisons.is_better(chosen, wrong[0])
    assert lost <= _at_most(0.025)


def test_models_are_compared_image_by_image():
    """Two that differ in 14 of the same images differ significantly, though intervals overlap."""
    comparisons = MultipleComparisons(images=1000, looks=100)
    hard = range(60)
    better, worse = {*hard}, {*hard, *range(60, 74)}
    assert comparisons.interval(worse).high > comparisons.interval(better).low
    assert comparisons.is_better(better, worse)
    assert not comparisons.is_better(worse, better)
    elsewhere = {*range(500, 574)}
    assert not comparisons.is_better(better, elsewhere)


def test_the_interval_of_a_single_model_is_the_exact_one():
    assert MultipleComparisons(105, 1).interval(()).low == pytest.approx(
        0.025 ** (1 / 105), abs=1e-3
    )
    assert MultipleComparisons(105, 160).interval(()).low == pytest.approx(
        (0.025 / 160) ** (1 / 105), abs=1e-3
    )
    assert MultipleComparisons(105, 160).interval(()).high == 1
