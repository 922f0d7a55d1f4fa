"""Comparisons of two models by the mean of their errors."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.errors import PupilaError
from pupila.noninferiority import LEVEL, PairedErrors, compare_errors
from pupila.noninferiority.tilting import student_tail

Floats = NDArray[np.float64]
LIMIT, MARGIN = 3.0, 0.2


def compared(ours: Floats, theirs: Floats, margin: float = MARGIN, patients: Floats | None = None):
    return compare_errors(ours, theirs, np.full(len(ours), LIMIT), margin, patients)


def bodies(random: np.random.Generator, images: int) -> tuple[Floats, Floats]:
    """Draw errors of two models that are equally good."""
    first, second = 0.45 * np.exp(0.6 * random.standard_normal((2, images)))
    return np.minimum(first, LIMIT), np.minimum(second, LIMIT)


def test_of_many_images_it_is_the_paired_test_of_a_mean():
    ours, theirs = bodies(np.random.default_rng(1), 5_000)
    difference = ours - theirs
    error = difference.std() / math.sqrt(len(ours))
    comparison = compared(ours, theirs, margin=float(difference.mean() + 2 * error))
    assert comparison.new == pytest.approx(ours.mean())
    assert comparison.reference == pytest.approx(theirs.mean())
    assert comparison.difference.value == pytest.approx(difference.mean())
    assert comparison.p_value == pytest.approx(student_tail(2, len(ours) - 1), abs=0.003)
    assert comparison.difference.low == pytest.approx(difference.mean() - 1.96 * error, abs=0.001)
    assert comparison.difference.high == pytest.approx(difference.mean() + 1.96 * error, abs=0.001)


@pytest.mark.parametrize("seed", [6, 7])
def test_the_p_value_is_that_of_samples_with_a_loss_of_the_margin(seed: int):
    """Of two models as alike as these, the tilt is the largest there is, and the rest is unseen."""
    images, draws = 77, 100_000
    random = np.random.default_rng(seed)
    ours, theirs = bodies(random, images)
    gains = theirs - ours
    weights = 1 / (1 + (gains - gains.mean()) / (LIMIT + gains.mean()))
    weights /= weights.sum()
    unseen = (weights @ gains + MARGIN) / (weights @ gains + LIMIT)
    assert 0 < unseen < MARGIN / LIMIT
    values = np.append(gains, -LIMIT)
    chances = np.append((1 - unseen) * weights, unseen)
    assert chances @ values == pytest.approx(-MARGIN)
    counts = random.multinomial(images, chances / chances.sum(), draws)
    tail = float((counts @ values >= gains.sum()).mean())
    expected = student_tail(
        -NormalDist().inv_cdf(tail) * math.sqrt((images - 1) / images), images - 1
    )
    error = 3 * math.sqrt(tail / draws) + 2e-4
    assert compared(ours, theirs).p_value == pytest.approx(expected, abs=error)


@pytest.mark.parametrize("images", [40, 54, 58, 62])
def test_models_with_equal_errors_pass_if_a_lost_image_would_have_been_seen(images: int):
    """If what is lost is a whole limit, a loss of the margin is that of `MARGIN / LIMIT` images."""
    errors = np.full(images, 0.4)
    normal = -NormalDist().inv_cdf((1 - MARGIN / LIMIT) ** images)
    expected = student_tail(normal * math.sqrt((images - 1) / images), images - 1)
    comparison = compared(errors, errors)
    assert comparison.difference.value == 0
    assert comparison.difference.low == pytest.approx(-comparison.difference.high, abs=1e-3)
    assert comparison.p_value == pytest.approx(expected, rel=1e-3)
    assert comparison.noninferior == (comparison.difference.high < MARGIN)
    assert comparison.noninferior == (comparison.p_value <= LEVEL)


def test_a_larger_error_is_a_loss():
    ours, theirs = bodies(np.random.default_rng(2), 300)
    worse = compared(np.minimum(theirs + 0.4, LIMIT), theirs)
    better = compared(theirs, np.minimum(theirs + 0.4, LIMIT))
    assert worse.difference.low > MARGIN and worse.inferior and not worse.noninferior
    assert better.difference.high < 0 and better.noninferior and not better.inferior
    assert better.difference.low == pytest.approx(-worse.difference.high, abs=1e-3)
    open_ = compared(ours[:77] * 1.4, theirs[:77])
    assert not (open_.noninferior or open_.inferior)
    assert open_.needs_images is not None and open_.needs_images > 77


def test_errors_in_another_unit_give_the_same_verdict():
    ours, theirs = bodies(np.random.default_rng(3), 120)
    percent = compared(ours, theirs)
    fraction = compare_errors(ours / 100, theirs / 100, np.full(120, LIMIT / 100), MARGIN / 100)
    assert fraction.p_value == pytest.approx(percent.p_value)
    assert fraction.difference.high * 100 == pytest.approx(percent.difference.high, abs=1e-3)
    assert fraction.needs_images == percent.needs_images


def test_images_of_one_patient_count_as_one():
    ours, theirs = bodies(np.random.default_rng(4), 100)
    once = compared(ours, theirs)
    thrice = compared(np.tile(ours, 3), np.tile(theirs, 3), patients=np.tile(np.arange(100.0), 3))
    assert thrice.p_value == pytest.approx(once.p_value)
    assert thrice.difference.high == pytest.approx(once.difference.high, abs=1e-3)
    assert thrice.difference.method.endswith("by patient")
    alone = compared(ours, theirs, patients=np.arange(100.0))
    assert alone.p_value == once.p_value
    assert compared(np.tile(ours, 3), np.tile(theirs, 3)).p_value < once.p_value


@pytest.mark.parametrize("lost", [False, True], ids=["on every image", "on few images"])
@pytest.mark.parametrize("images", [40, 77])
def test_models_at_the_margin_rarely_pass(images: int, lost: bool):
    random, passed, runs = np.random.default_rng(5), 0, 300
    for _ in range(runs):
        ours, theirs = bodies(random, images)
        if lost:  # 0.45 exp(0.18) = 0.54 is the mean error of the others
            ours = np.where(random.random(images) < MARGIN / (LIMIT - 0.54), LIMIT, ours)
        else:
            ours = np.minimum(ours * 1.4, LIMIT)
        errors = PairedErrors.of(ours, theirs, np.full(images, LIMIT))
        passed += errors.p_value(MARGIN) <= LEVEL
    assert passed / runs <= LEVEL + 2.5 * math.sqrt(LEVEL / runs)


@pytest.mark.parametrize(
    ("ours", "theirs", "limits", "margin", "message"),
    [
        ([0.1, 0.2], [0.1], [3.0, 3.0], 0.2, "cannot be compared: expected one for each"),
        ([], [], [], 0.2, "and at least one"),
        ([0.1, np.nan], [0.1, 0.2], [3.0, 3.0], 0.2, "The error of image 1 is nan, and its"),
        ([0.1, 0.2], [0.1, 3.5], [3.0, 3.0], 0.2, "The error of image 1 is 3.5, and its limit 3"),
        ([0.1, 0.2], [0.1, 0.2], [3.0, 0.0], 0.2, "The error of image 1 is 0.2, and its limit 0"),
        ([0.1], [0.1], [3.0], 3.0, "A margin of 3 allows no comparison: errors count up to 3 here"),
        ([0.1], [0.1], [3.0], 0.0, "A margin of 0 allows no comparison"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(
    ours: list[float], theirs: list[float], limits: list[float], margin: float, message: str
):
    with pytest.raises(PupilaError, match=message):
        compare_errors(ours, theirs, limits, margin)
