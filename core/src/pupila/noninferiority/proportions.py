"""Compares two classifiers by accuracy or sensitivity: the fraction of correct answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.noninferiority.clustered import compare_clustered, shared_clusters
from pupila.noninferiority.comparison import (
    LEVEL,
    NARROW,
    Z_LEVEL,
    Comparison,
    check_margin,
    last_rejected,
    sample_size,
)
from pupila.noninferiority.exact import (
    boundary_of,
    largest_probability,
    pass_probabilities,
    score,
)

_FINE = 1e-6
"""Precision of a critical score."""


def compare_proportions(
    new: ArrayLike, reference: ArrayLike, margin: float, clusters: ArrayLike | None = None
) -> Comparison:
    """Compare the fractions of correct answers of two classifiers, on the same images.

    `new` and `reference` are true where the classifier is correct, `(images,)`. `clusters` is
    described in `pupila.intervals`. If no two images share a cluster, the test is exact; otherwise
    it is that of `pupila.noninferiority.clustered`.

    Raises:
        PupilaError: the shapes differ, there are no images, or the margin is outside 0..1.
    """
    ours, theirs = np.asarray(new, np.bool_), np.asarray(reference, np.bool_)
    if ours.ndim != 1 or ours.shape != theirs.shape or not len(ours):
        raise PupilaError(
            f"Answers of shapes {ours.shape!r} and {theirs.shape!r} cannot be compared: expected "
            f"one for each of the same images, and at least one."
        )
    check_margin(margin)
    members = shared_clusters(clusters)
    if members is not None:
        return compare_clustered(ours, theirs, members, margin)
    images, gained, lost = len(ours), int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    p_value = exact_p_value(gained, lost, images, -margin)
    inferior = exact_p_value(lost, gained, images, margin) <= LEVEL
    low, high = _exact_limits(
        gained, lost, images, -margin, noninferior=p_value <= LEVEL, inferior=inferior
    )
    return Comparison(
        new=float(ours.mean()),
        reference=float(theirs.mean()),
        difference=Estimate(
            value=(gained - lost) / images,
            low=low,
            high=high,
            method="exact unconditional, ordered by Tango's score (Sidik 2003)",
        ),
        p_value=p_value,
        inferior=inferior,
        needs_images=images_needed(gained, lost, images, margin),
    )


def exact_p_value(gained: int, lost: int, images: int, null: float) -> float:
    """Return the exact p-value of the hypothesis that the true difference is at most `null`.

    `gained` is the number of images that only the new classifier answers correctly; `lost` is the
    number that only the reference answers correctly. The p-value is the largest probability of a
    score at least as high as the observed score, over all probabilities that an image is
    discordant. A true difference below `null` gives a smaller probability, since the score grows
    with every image gained and falls with every image lost (Röhmel and Mansmann 1999, Biometrical
    Journal 41:149).
    """
    return largest_probability(
        boundary_of(float(score(gained, lost, images, null)), images, null), images, null
    )


@lru_cache(maxsize=256)
def critical_score(images: int, margin: float) -> float:
    """Return the lowest value of `score(…, -margin)` at which the test passes (p ≤ `LEVEL`)."""
    low, high = 0.0, 16.0
    while high - low > _FINE:
        middle = (low + high) / 2
        passes = largest_probability(boundary_of(middle, images, -margin), images, -margin) <= LEVEL
        low, high = (low, middle) if passes else (middle, high)
    return high


def power(images: int, margin: float, discordance: float, difference: float = 0.0) -> float:
    """Return the exact probability that the test of `compare_proportions` passes.

    `discordance` is the probability that only one of the classifiers is correct. `difference` is
    the true difference, new minus reference. With a difference of `-margin`, the result is the
    probability of a false pass.
    """
    boundary = boundary_of(critical_score(images, margin), images, -margin)
    return float(pass_probabilities(boundary, images, np.array([discordance]), difference)[0])


def images_needed(gained: int, lost: int, images: int, margin: float) -> int | None:
    """Return how many images would decide the test; None if no number would.

    The observed discordance and difference are assumed to be true, but a positive difference counts
    as 0. If the difference is below `-margin`, this many images would show that the new classifier
    is worse by more than the margin. Otherwise they would show that it is worse by less than the
    margin, or not worse.
    """
    difference = min(0.0, (gained - lost) / images)
    discordance = max((gained + lost) / images, -difference)
    return score_test_sample_size(discordance, difference, margin, images)


def score_test_sample_size(
    discordance: float, difference: float, margin: float, images: int = 0
) -> int | None:
    """Return how many images the score test needs to tell `difference` from `-margin`.

    The result is always more than `images`, the number of images tested; None if no number is
    enough. Nam 1997 (Biometrics 53:1422): `((z_level σ₀ + z_power σ₁) / (difference + margin))²`.
    """
    spreads = _spreads(discordance, difference, margin)
    return sample_size(*spreads, difference + margin, images)


def _spreads(discordance: float, difference: float, margin: float) -> tuple[float, float]:
    """Return two standard deviations of one image's difference: at the margin and in truth."""
    won, gone = (discordance + difference) / 2, (discordance - difference) / 2
    linear = -(2 - won + gone) * margin - won - gone
    lost_rate = (math.sqrt(max(linear**2 - 8 * gone * margin * (1 + margin), 0)) - linear) / 4
    at_margin = 2 * lost_rate - margin * (1 + margin)
    return math.sqrt(max(at_margin, 0)), math.sqrt(max(discordance - difference**2, 0))


def _exact_limits(
    gained: int, lost: int, images: int, at: float, *, noninferior: bool, inferior: bool
) -> tuple[float, float]:
    """Return the ends of the interval, made to agree with the verdicts of the test at `at`."""
    low = _exact_limit(gained, lost, images, at, rejected=noninferior)
    return low, -_exact_limit(lost, gained, images, -at, rejected=inferior)


def _exact_limit(gained: int, lost: int, images: int, at: float, *, rejected: bool) -> float:
    """Return the lower end of the interval; it lies above `at` if the test rejects `at`."""

    def below(null: float) -> bool:
        return exact_p_value(gained, lost, images, null) <= LEVEL

    value = (gained - lost) / images
    outer, inner = (at, value) if rejected else (-1.0, min(at, value))
    guess = _score_limit(gained, lost, images)
    if min(outer, inner) < guess < max(outer, inner):
        outer, inner = _bracket(below, outer, inner, guess)
    return last_rejected(below, outer, inner)


def _score_limit(gained: int, lost: int, images: int) -> float:
    """Return the lower end of Tango's interval, which is close to that of the exact test."""

    def rejected(null: float) -> bool:
        return float(score(gained, lost, images, null)) >= Z_LEVEL

    return last_rejected(rejected, -1.0, (gained - lost) / images)


def _bracket(
    rejected: Callable[[float], bool], outer: float, inner: float, guess: float
) -> tuple[float, float]:
    """Return a rejected value and an accepted value nearer to `inner`, both near `guess`."""
    step, ahead = 8 * math.copysign(NARROW, inner - outer), rejected(guess)
    lowest, highest = min(outer, inner), max(outer, inner)
    while True:
        following = guess + step if ahead else guess - step
        if not lowest < following < highest:
            return (guess, inner) if ahead else (outer, guess)
        if rejected(following) != ahead:
            return (guess, following) if ahead else (following, guess)
        guess, step = following, 2 * step
