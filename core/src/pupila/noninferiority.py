"""Is a new classifier no worse than a reference by more than a margin? Both answer the same images.

The null hypothesis is that it *is* worse by the margin or more; a pass rejects it at `LEVEL`. So
too few images never pass, and a false pass at the margin has at most that probability.

Two proportions (accuracy, sensitivity) are compared by the exact unconditional test: images of
which only one is right are counted, as McNemar did; such counts are ordered by Tango's score
statistic (1998, Statistics in Medicine 17:891), and the p-value is the largest there is over all
frequencies of such images (Sidik 2003, Stat Med 22:265). The score test itself keeps its level
better than Wald's (Liu et al. 2002, Stat Med 21:231), but not always; this one does whatever the
truth is. McNemar's exact test, on the discordant images alone, knows no margin. Lloyd and Moldovan
(2008, Stat Med 27:3540) order by a p-value that is estimated first: a little more power for much
more work, which was left out.

Areas under the ROC curve are compared by DeLong, DeLong and Clarke-Pearson (1988, Biometrics
44:837), with a floor under the variance: see `compare_areas`. Several figures of one artifact are
adjusted by `holm`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pupila.errors import PupilaError
from pupila.evaluation import Estimate

LEVEL = 0.025
"""Probability of a false pass at the margin, at most: one side of a 95 % interval."""

POWER = 0.8
"""Probability with which the number of images that is asked for decides."""

_Z_LEVEL = NormalDist().inv_cdf(1 - LEVEL)
_Z_POWER = NormalDist().inv_cdf(POWER)
_TIE = 1e-9
"""Scores nearer than this are equal but for rounding."""
_NARROW = 1e-4
"""How exactly the ends of an interval are found: a hundredth of a percentage point."""
_FINE = 1e-6
"""How exactly a critical score is found."""
_DEVIATIONS = 9
"""Counts farther out than this are left out: their probability is below 1e-18."""
_BLOCK = 16
"""Discordances that are looked at together."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Comparison:
    """A figure of a new classifier less that of a reference, held against a margin."""

    new: float
    reference: float
    difference: Estimate
    p_value: float
    """Of a true difference of `-margin` or less: at most `LEVEL` shows that it is better."""
    worse: bool
    """Whether the whole interval lies below `-margin`: it is shown to be worse than allowed."""
    needs_images: int | None
    """More images, with which the observed difference would be told from the margin with `POWER`.

    A gain counts as no difference. None where no number would do: it lies at the margin.
    """

    @property
    def shown(self) -> bool:
        """Whether it is shown to be no worse than the margin allows."""
        return self.p_value <= LEVEL


def compare_proportions(
    new: ArrayLike, reference: ArrayLike, margin: float, *, family: int = 1
) -> Comparison:
    """Compare what is right in two sets of answers, `(images,)` each, true where right.

    `family` is the number of figures that `holm` is to adjust together: the images that are asked
    for would do for the strictest of them.

    Raises:
        PupilaError: they are not of the same images, there are none, or the margin cannot be.
    """
    ours, theirs = np.asarray(new, np.bool_), np.asarray(reference, np.bool_)
    if ours.ndim != 1 or ours.shape != theirs.shape or not len(ours):
        raise PupilaError(
            f"Answers of shapes {ours.shape!r} and {theirs.shape!r} cannot be compared: expected "
            f"one for each of the same images, and at least one."
        )
    _check(margin)
    images, gained, lost = len(ours), int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    p_value = exact_p_value(gained, lost, images, -margin)
    worse = exact_p_value(lost, gained, images, margin) <= LEVEL
    low, high = _exact_limits(gained, lost, images, -margin, shown=p_value <= LEVEL, worse=worse)
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
        worse=worse,
        needs_images=images_needed(gained, lost, images, margin, family=family),
    )


def score(gained: ArrayLike, lost: ArrayLike, images: int, null: float) -> Floats:
    """Return Tango's score for a true difference of `null`; counts of any one shape.

    Tango 1998, equations 3 and 4: `(g - l - n·null) / sqrt(n (2q + null (1 - null)))`, where `q` is
    the most likely probability of a lost image if `null` is true.
    """
    won, gone = np.asarray(gained, np.float64), np.asarray(lost, np.float64)
    linear = (2 * images - won + gone) * null - won - gone
    constant = -gone * null * (1 - null)
    root = np.sqrt(np.maximum(linear**2 - 8 * images * constant, 0))
    lost_rate = (root - linear) / (4 * images)
    spread = np.sqrt(np.maximum(images * (2 * lost_rate + null * (1 - null)), 0))
    excess = won - gone - images * null
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(excess) < _TIE, 0.0, excess / spread)


def exact_p_value(gained: int, lost: int, images: int, null: float) -> float:
    """Return the probability of a score this high if the true difference is `null` or less.

    It is the largest over all probabilities of a discordant image. Of differences below `null`
    none gives more: the score grows with every image gained and falls with every image lost, which
    is enough (Röhmel and Mansmann 1999, Biometrical Journal 41:149).
    """
    return _largest(_boundary(float(score(gained, lost, images, null)), images, null), images, null)


@lru_cache(maxsize=256)
def critical_score(images: int, margin: float) -> float:
    """Return the lowest score that passes: `score(…, -margin)` at or above it has p ≤ `LEVEL`."""
    low, high = 0.0, 16.0
    while high - low > _FINE:
        middle = (low + high) / 2
        passes = _largest(_boundary(middle, images, -margin), images, -margin) <= LEVEL
        low, high = (low, middle) if passes else (middle, high)
    return high


def power(images: int, margin: float, discordance: float, difference: float = 0.0) -> float:
    """Return the exact probability of a pass.

    `discordance` is the probability that only one of both is right, `difference` what the new one
    has more; of a difference of `-margin` it is the probability of a false pass.
    """
    boundary = _boundary(critical_score(images, margin), images, -margin)
    return float(_probabilities(boundary, images, np.array([discordance]), difference)[0])


def images_needed(
    gained: int, lost: int, images: int, margin: float, *, family: int = 1
) -> int | None:
    """Return with how many images the observed difference is told from the margin; None if none.

    The discordance is the observed one. So is the difference, but a gain counts as none. Below the
    margin, it is the number that would show that the new classifier is worse. Formula of the score
    test, Nam 1997 (Biometrics 53:1422): `((z_level σ₀ + z_power σ₁) / (difference + margin))²`.
    """
    difference = min(0.0, (gained - lost) / images)
    discordance = max((gained + lost) / images, -difference)
    spreads = _spreads(discordance, difference, margin)
    return _needed(*spreads, difference + margin, images, family)


def _spreads(discordance: float, difference: float, margin: float) -> tuple[float, float]:
    """Return the deviation of one image's difference, at the margin and in truth."""
    won, gone = (discordance + difference) / 2, (discordance - difference) / 2
    linear = -(2 - won + gone) * margin - won - gone
    lost_rate = (math.sqrt(max(linear**2 - 8 * gone * margin * (1 + margin), 0)) - linear) / 4
    at_margin = 2 * lost_rate - margin * (1 + margin)
    return math.sqrt(max(at_margin, 0)), math.sqrt(max(discordance - difference**2, 0))


def _needed(
    at_margin: float, in_truth: float, distance: float, images: int, family: int = 1
) -> int | None:
    if abs(distance) < _TIE:
        return None
    z_level = NormalDist().inv_cdf(1 - LEVEL / family)
    wanted = ((z_level * at_margin + _Z_POWER * in_truth) / distance) ** 2
    return max(images + 1, math.ceil(wanted))


def _check(margin: float) -> None:
    if not 0 < margin < 1:
        raise PupilaError(f"A margin of {margin!r} allows no comparison: give one between 0 and 1.")


def _exact_limits(
    gained: int, lost: int, images: int, at: float, *, shown: bool, worse: bool
) -> tuple[float, float]:
    """Return the ends of the interval, each on the side of `at` that the test there tells."""
    low = _exact_limit(gained, lost, images, at, rejected=shown)
    return low, -_exact_limit(lost, gained, images, -at, rejected=worse)


def _exact_limit(gained: int, lost: int, images: int, at: float, *, rejected: bool) -> float:
    """Return the lower end, which lies above `at` where that is rejected."""

    def below(null: float) -> bool:
        return exact_p_value(gained, lost, images, null) <= LEVEL

    value = (gained - lost) / images
    outer, inner = (at, value) if rejected else (-1.0, min(at, value))
    guess = _score_limit(gained, lost, images)
    if min(outer, inner) < guess < max(outer, inner):
        outer, inner = _bracket(below, outer, inner, guess)
    return _last(below, outer, inner)


def _score_limit(gained: int, lost: int, images: int) -> float:
    """Return the lower end of Tango's interval, near which that of the exact test lies."""

    def rejected(null: float) -> bool:
        return float(score(gained, lost, images, null)) >= _Z_LEVEL

    return _last(rejected, -1.0, (gained - lost) / images)


def _bracket(
    rejected: Callable[[float], bool], outer: float, inner: float, guess: float
) -> tuple[float, float]:
    """Return a rejected value and one nearer to `inner` that is not, both near `guess`."""
    step, ahead = 8 * math.copysign(_NARROW, inner - outer), rejected(guess)
    while (outer < guess < inner) or (inner < guess < outer):
        following = guess + step if ahead else guess - step
        if rejected(following) != ahead:
            return (guess, following) if ahead else (following, guess)
        guess, step = following, 2 * step
    return (guess - step / 2, inner) if ahead else (outer, guess + step / 2)


def _last(rejected: Callable[[float], bool], outer: float, inner: float) -> float:
    """Return the value nearest to `inner` that is rejected, as `outer` is."""
    while abs(inner - outer) > _NARROW:
        middle = (outer + inner) / 2
        outer, inner = (middle, inner) if rejected(middle) else (outer, middle)
    return outer


def _boundary(least: float, images: int, null: float) -> NDArray[np.int64]:
    """Return how many of `d` discordant images must be gained for a score of `least`, by `d`.

    One more discordant image asks for none or one more, since a gain raises the score and a loss
    lowers it.
    """
    bounds = np.empty(images + 1, np.int64)
    needed = 0
    for discordant in range(images + 1):
        if needed <= discordant and not _reaches(needed, discordant, images, null, least):
            needed += 1
        bounds[discordant] = needed
    return bounds


def _reaches(gained: int, discordant: int, images: int, null: float, least: float) -> bool:
    """Tell whether `score` is at least `least`: the same formula, for single numbers."""
    lost = discordant - gained
    linear = (2 * images - gained + lost) * null - discordant
    root = math.sqrt(max(linear * linear + 8 * images * lost * null * (1 - null), 0.0))
    variance = images * ((root - linear) / (2 * images) + null * (1 - null))
    excess = gained - lost - images * null
    if abs(excess) < _TIE:
        return least <= _TIE
    if variance <= 0:
        return excess > 0
    return excess >= (least - _TIE) * math.sqrt(variance)


def _largest(boundary: NDArray[np.int64], images: int, null: float) -> float:
    """Return the largest probability of the region over all discordances, if `null` is true."""
    least = math.asin(math.sqrt(abs(null)))  # where the variance of a proportion is the same
    angles = np.linspace(least, math.pi / 2, 48 + 4 * math.isqrt(images))
    step = float(angles[1] - angles[0])
    found = _at_angles(boundary, images, angles, null)
    peak = float(angles[int(found.argmax())])
    near: Floats = np.clip(np.linspace(peak - step, peak + step, 33), least, math.pi / 2)
    largest = max(found.max(), _at_angles(boundary, images, near, null).max())
    return float(np.clip(largest, 0.0, 1.0))


def _at_angles(boundary: NDArray[np.int64], images: int, angles: Floats, null: float) -> Floats:
    discordances: Floats = np.clip(np.square(np.sin(angles)), max(abs(null), 1e-12), 1 - 1e-12)
    blocks = [discordances[start : start + _BLOCK] for start in range(0, len(angles), _BLOCK)]
    return np.concatenate([_probabilities(boundary, images, each, null) for each in blocks])


def _probabilities(
    boundary: NDArray[np.int64], images: int, discordances: Floats, difference: float
) -> Floats:
    """Return the probability that at least `boundary[d]` of `d` images are gained, by discordance.

    `d` is binomial; of `d`, the gained are binomial with `r = (discordance + difference) / 2
    discordance`. Their tail at `d + 1` is that at `d` and one term: `+ r P(k - 1)` where the bound
    `k` stays, `- (1 - r) P(k)` where it grows by one. So one running sum gives all tails.
    """
    margin = _DEVIATIONS * np.sqrt(images * discordances * (1 - discordances)) + _DEVIATIONS
    first = max(0, math.floor((images * discordances - margin).min()))
    last = min(images, math.ceil((images * discordances + margin).max()))
    rate = (discordances + difference) / (2 * discordances)
    counts = np.arange(first, last + 1)
    weights = _binomial(np.full_like(counts, images), counts, discordances)
    stays = (np.diff(boundary[first : last + 1]) == 0)[:, None]
    tops = boundary[first:last]
    at = np.where(stays[:, 0], tops - 1, tops)
    steps = _binomial(counts[:-1], at, rate) * np.where(stays, rate, rate - 1)
    kept = np.arange(int(boundary[first]), first + 1)
    start = _binomial(np.full_like(kept, first), kept, rate).sum(axis=0)
    tails = start + np.concatenate([np.zeros((1, len(rate))), np.cumsum(steps, axis=0)])
    return (weights * tails).sum(axis=0)


def _binomial(totals: NDArray[np.int64], hits: NDArray[np.int64], rates: Floats) -> Floats:
    """Return probabilities `(counts, rates)` of so many hits; 0 for what cannot be."""
    if not len(totals):
        return np.zeros((0, len(rates)))
    logs = _log_factorials(int(totals.max()))
    possible = (hits >= 0) & (hits <= totals)
    found = np.clip(hits, 0, totals)
    missed = totals - found
    ways = np.where(possible, logs[totals] - logs[found] - logs[missed], -np.inf)
    inside = np.clip(rates, 1e-300, 1 - 1e-16)
    powers = found[:, None] * np.log(inside) + missed[:, None] * np.log1p(-inside)
    return np.exp(ways[:, None] + powers)


def _log_factorials(most: int) -> Floats:
    return _log_factorials_to(1 << most.bit_length())


@lru_cache(maxsize=32)
def _log_factorials_to(most: int) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])


def compare_areas(
    new: ArrayLike,
    reference: ArrayLike,
    labels: ArrayLike,
    columns: Sequence[int],
    margin: float,
    *,
    family: int = 1,
) -> Comparison:
    """Compare the mean areas under the ROC curves of some classes, each against the rest.

    Both are probabilities `(images, classes)`; `columns` are the classes whose areas count: one
    where there are two, all where there are more; `family` as in `compare_proportions`. Paired as
    by DeLong et al. 1988: each image has a placement, the part of the other class that it is on the
    right side of.

    DeLong's variance is 0 where both separate the classes, or order the images alike, and too small
    near that: in simulations up to one run in five passed falsely. So the variance is never taken
    below what it would be at the margin, as Tango does for proportions. It is the larger of two:
    that of Hanley and McNeil 1982 as in Newcombe 2006, method 5, of two areas `margin` apart, with
    DeLong's correlation (0 where there is none); and `margin (1 - margin) / n`, if the loss comes
    from a few of the n images of the smaller class that are answered wholly wrong: no loss of that
    size varies more, and there may be none of them among the images at hand. Student's t stands
    for the normal. Then no simulation found more than `LEVEL`, but for chance (`docs/gate.md`).

    Raises:
        PupilaError: the arrays do not fit, a class has no image, or the margin cannot be.
    """
    _check(margin)
    areas = PairedAreas.of(new, reference, labels, columns)

    def below(null: float) -> bool:
        return areas.p_value(null) <= LEVEL

    def above(null: float) -> bool:
        return areas.p_value(null, above=True) <= LEVEL

    value, images = areas.value, areas.images
    deviation = math.sqrt(areas.variance(-margin) * images)
    return Comparison(
        new=areas.new,
        reference=areas.reference,
        difference=Estimate(
            value=value,
            low=_last(below, -1.0, value),
            high=_last(above, 1.0, value),
            method="paired DeLong 1988, its variance not below that at the limit (Newcombe 2006)",
        ),
        p_value=areas.p_value(-margin),
        worse=value < -margin and above(-margin),
        needs_images=_needed(deviation, deviation, min(0.0, value) + margin, images, family),
    )


@dataclass(frozen=True)
class PairedAreas:
    """Two mean areas of the same images, with what is known of their variance."""

    new: float
    reference: float
    images: int
    positives: int
    """Images of the smallest class that counts: the variance at a margin is that of its area."""
    variances: tuple[float, float, float]
    """DeLong's: of the new one, of the reference, and their covariance."""

    @classmethod
    def of(
        cls, ours: ArrayLike, theirs: ArrayLike, labels: ArrayLike, columns: Sequence[int]
    ) -> PairedAreas:
        """Measure both; the arguments are those of `compare_areas`.

        Raises:
            PupilaError: the arrays do not fit, or a class has no image.
        """
        new, reference = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        truth = np.asarray(labels, np.int64)
        if new.shape != reference.shape or new.ndim != 2 or truth.shape != new.shape[:1]:
            raise PupilaError(
                f"Probabilities of shapes {new.shape!r} and {reference.shape!r} with labels "
                f"{truth.shape!r} cannot be compared: expected (images, classes) twice, and "
                f"(images,)."
            )
        sizes = np.bincount(truth, minlength=new.shape[1])
        if not sizes.all():
            raise PupilaError(
                f"An area under the ROC curve needs images of every class, and the classes have "
                f"{sizes.tolist()!r}: leave `auc` out, or test on more images."
            )
        both = [_effects(each, truth, columns) for each in (new, reference)]
        areas = [_mean_area(each, truth, columns) for each in (new, reference)]
        covariance = np.zeros((2, 2))
        for label in range(len(sizes)):
            if sizes[label] > 1:
                parts = np.stack([each[truth == label] for each in both])
                covariance += sizes[label] * np.cov(parts)
        (first, shared), (_, second) = covariance.tolist()
        smallest = int(sizes[list(columns)].min())
        return cls(areas[0], areas[1], len(truth), smallest, (first, second, shared))

    @property
    def value(self) -> float:
        return self.new - self.reference

    def p_value(self, null: float, *, above: bool = False) -> float:
        """Return that of a true difference of `null` or less; `above`: of `null` or more."""
        distance = (null - self.value) if above else (self.value - null)
        return _student_tail(distance / math.sqrt(self.variance(null)), self._smaller - 1)

    def variance(self, null: float) -> float:
        """Return the variance of the difference if it is truly `null`."""
        first, second, shared = self.variances
        product = first * second
        correlation = shared / math.sqrt(product) if product > 0 else 0.0
        middle = (self.new + self.reference) / 2
        upper = min(max(middle + abs(null) / 2, 0.5), 1.0)
        lower = max(upper - abs(null), 0.0)
        one, other = self._hanley_mcneil(lower), self._hanley_mcneil(upper)
        at_null = one + other - 2 * correlation * math.sqrt(one * other)
        of_few = abs(null) * (1 - abs(null)) / self._smaller
        return max(first + second - 2 * shared, at_null, of_few, _LEAST_VARIANCE)

    @property
    def _smaller(self) -> int:
        return max(2, min(self.positives, self.images - self.positives))

    def _hanley_mcneil(self, area: float) -> float:
        """Return the variance of one area, as `pupila.metrics.auc_interval` has it."""
        positives, negatives = self.positives, self.images - self.positives
        extra = self.images / 2 - 1
        spread = 1 + extra * (1 - area) / (2 - area) + extra * area / (1 + area)
        return area * (1 - area) * spread / (positives * negatives)


_LEAST_VARIANCE = 1e-12
"""Of two areas that are 1 and are held to be so: no difference is then more likely than this."""


def _mean_area(scores: Floats, truth: NDArray[np.int64], columns: Sequence[int]) -> float:
    return float(
        np.mean([_placements(scores[:, c], truth == c)[truth == c].mean() for c in columns])
    )


def _effects(scores: Floats, truth: NDArray[np.int64], columns: Sequence[int]) -> Floats:
    """Return what each image adds to the mean area, but for a constant of its class."""
    total = np.zeros(len(truth))
    for column in columns:
        is_positive = truth == column
        sizes = np.where(is_positive, is_positive.sum(), (~is_positive).sum())
        total += _placements(scores[:, column], is_positive) / sizes
    return total / len(columns)


def _placements(scores: Floats, is_positive: Bools) -> Floats:
    """Return the part of the other class that each image is on the right side of, ties half.

    From midranks, as Sun and Xu 2014 (IEEE Signal Processing Letters 21:1389): among all images
    less among those of its own class.
    """
    among_all, among_own = _midranks(scores), np.empty(len(scores))
    for own in (is_positive, ~is_positive):
        among_own[own] = _midranks(scores[own])
    below = among_all - among_own
    others = np.where(is_positive, (~is_positive).sum(), is_positive.sum())
    return np.where(is_positive, below, others - below) / others


def _midranks(values: Floats) -> Floats:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def _student_tail(value: float, degrees: int) -> float:
    """Return the probability of more, to three digits (Wallace 1959, Ann. Math. Stat. 30:1121)."""
    squeezed = math.sqrt(degrees * math.log1p(value * value / degrees))
    return NormalDist().cdf(-math.copysign(squeezed, value) * (8 * degrees + 1) / (8 * degrees + 3))


@dataclass(frozen=True)
class LimitCheck:
    """A part of the images, held against the least that is allowed."""

    part: Estimate
    shown: bool
    """Whether the interval does not reach below the limit."""
    worse: bool
    """Whether it lies wholly below the limit."""
    needs_images: int | None
    """As in `Comparison`."""


def check_limit(hits: int, images: int, limit: float) -> LimitCheck:
    """Hold `hits` of `images` against the least part that is allowed.

    Interval: Clopper and Pearson 1934 (Biometrika 26:404), exact.

    Raises:
        PupilaError: there are no images, or not as many as hits, or the limit is outside 0..1.
    """
    if not 0 <= hits <= images or not images or not 0 < limit <= 1:
        raise PupilaError(
            f"{hits!r} of {images!r} images cannot be held against a limit of {limit!r}: expected "
            f"at least one image, no more hits than images, and a limit in (0, 1]."
        )
    low, high = _part_limits(hits, images)
    return LimitCheck(
        part=Estimate(
            value=hits / images, low=low, high=high, method="Clopper and Pearson 1934, exact"
        ),
        shown=low >= limit,
        worse=high < limit,
        needs_images=_needed_for(hits, images, limit),
    )


def _part_limits(hits: int, images: int) -> tuple[float, float]:
    def few(rate: float) -> bool:
        return _at_least(hits, images, rate) <= LEVEL

    def many(rate: float) -> bool:
        return _at_least(images - hits, images, 1 - rate) <= LEVEL

    part = hits / images
    low = _last(few, 0.0, part) if hits else 0.0
    return low, _last(many, 1.0, part) if hits < images else 1.0


def _at_least(hits: int, images: int, rate: float) -> float:
    counts = np.arange(hits, images + 1)
    return float(_binomial(np.full_like(counts, images), counts, np.array([rate])).sum())


def _needed_for(hits: int, images: int, limit: float) -> int | None:
    """Return how many images would tell the observed part from the limit; None if none would."""
    part = hits / images
    if abs(part - limit) < _TIE or limit == 1:
        return None
    if part == 1:  # as many without a fault as the limit makes improbable
        return max(images + 1, math.ceil(math.log(LEVEL) / math.log(limit)))
    at_limit, in_truth = math.sqrt(limit * (1 - limit)), math.sqrt(part * (1 - part))
    return _needed(at_limit, in_truth, part - limit, images)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number, in the same order.

    Holm 1979 (Scandinavian Journal of Statistics 6:65): the smallest of k times k, the next times
    k - 1, and so on, none smaller than the one before it.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
