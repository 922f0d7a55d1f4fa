"""The comparison of two models by the mean of bounded values."""

from __future__ import annotations

import numpy as np
import pytest

from pupila.errors import PupilaError
from pupila.noninferiority import LEVEL, PairedErrors, compare_errors, compare_means

RANDOM = np.random.default_rng(5)
THEIRS = RANDOM.uniform(1, 3, 120)
OURS = np.clip(THEIRS + RANDOM.normal(0.1, 0.2, 120), 0, 4)


def test_lower_values_that_start_at_zero_are_errors():
    ours = compare_means(OURS, THEIRS, (0.0, 4.0), 0.3, lower_is_better=True)
    assert ours == compare_errors(OURS, THEIRS, np.full(120, 4.0), 0.3)
    assert ours.noninferior and ours.difference.value == pytest.approx((OURS - THEIRS).mean())


def test_higher_values_are_the_same_in_a_mirror():
    lower = compare_means(OURS, THEIRS, (0.0, 4.0), 0.3, lower_is_better=True)
    higher = compare_means(10 - OURS, 10 - THEIRS, (6.0, 10.0), 0.3)
    assert higher.p_value == pytest.approx(lower.p_value)
    assert (higher.new, higher.reference) == pytest.approx((10 - lower.new, 10 - lower.reference))
    ends = (higher.difference.low, higher.difference.value, higher.difference.high)
    mirrored = (lower.difference.high, lower.difference.value, lower.difference.low)
    assert ends == pytest.approx(tuple(-end for end in mirrored), abs=1e-3)


def test_a_loss_beyond_the_margin_is_shown():
    worse = compare_means(THEIRS - 0.9, THEIRS, (0.0, 4.0), 0.3)
    assert worse.inferior and not worse.noninferior and worse.difference.high < -0.3


def test_values_outside_of_the_bounds_and_wide_margins_are_refused():
    with pytest.raises(PupilaError, match="between 0 and that"):
        compare_means(OURS, THEIRS, (0.0, 4.0), 4.0)
    with pytest.raises(PupilaError, match="expected errors from 0 to a limit"):
        compare_means(OURS, THEIRS, (0.0, 1.0), 0.5)


@pytest.mark.parametrize("images", [50, 100, 300])
def test_a_model_that_loses_the_margin_seldom_passes(images: int):
    """The losses are rare and as large as can be, on 1 image of 20: the hardest for a mean."""
    random, runs, limits = np.random.default_rng(images), 400, np.ones(images)
    passed = 0
    for _ in range(runs):
        reference = random.uniform(0, 0.5, images)
        new = np.where(random.random(images) < 0.05, 1.0, reference)
        passed += PairedErrors.of(new, reference, limits).p_value(0.05 * 0.75) <= LEVEL
    assert passed / runs <= LEVEL + 2.5 * (LEVEL * (1 - LEVEL) / runs) ** 0.5
