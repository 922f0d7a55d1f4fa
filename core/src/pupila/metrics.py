"""Figures of one classifier on one set of images, each with a 95 % interval.

`probabilities` are `(images, classes)`, `labels` are `(images,)` indices into the columns.
Intervals: Wilson for proportions, Newcombe for the area under the ROC curve, and a seeded bootstrap
where no formula is good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pupila.artifact import Threshold, ThresholdRule
from pupila.errors import PupilaError, no_class
from pupila.evaluation import Agreement, Estimate, Metrics, OperatingPoint

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BINS = 15
"""Bins of the expected calibration error, as in Guo et al. 2017."""

DRAWS = 2000
"""Bootstrap resamples: the ends of a 95 % interval then move by about 2 % of its width."""

_Z = 1.959963984540054
"""97.5 % point of the standard normal distribution."""

_BLOCK_COUNTS = 1 << 22
"""Entries of a block of resamples held at a time: 32 MiB, whatever the number of images."""

_ROUNDING = 0.01
"""How far a probability may lie outside 0..1: 8-bit outputs are only that exact."""


def metrics_of(
    probabilities: ArrayLike,
    labels: ArrayLike,
    classes: Sequence[str],
    positive: str,
    specificity: float,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    *,
    shipped: Threshold | None = None,
    split: str = "test",
    seed: int = 0,
) -> Metrics:
    """Return every figure of one set of images.

    `specificity` is the one wanted where sensitivity is read. `validation` holds the probabilities
    and labels of other images, on which the threshold is chosen first; a second operating point is
    chosen on these very images (named `split`) and is therefore optimistic. `shipped` is what the
    model's files hold; one for another class than `positive` is not looked at. Where either class
    is missing, among these images or those a threshold is chosen on, what needs both is left out.

    Raises:
        PupilaError: no image, shapes that do not fit, a probability that is none, a label out of
            range, an unknown positive class, or a specificity outside 0..1.
    """
    scores, truth = checked(probabilities, labels, classes, what=split)
    column = _column(positive, classes)
    chosen_on = {split: (scores, truth)}
    if validation is not None and split != "validation":
        chosen_on = {"validation": checked(*validation, classes, what="validation"), **chosen_on}
    ece, brier = calibration(scores, truth, seed)
    return Metrics(
        images=len(truth),
        accuracy=accuracy(scores, truth),
        auc=auc(scores, truth, column, seed),
        operating_points=_operating_points(scores, truth, column, specificity, chosen_on),
        shipped=_shipped(scores[:, column], truth == column, shipped, positive),
        confusion=confusion(scores, truth),
        ece=ece,
        brier=brier,
    )


def checked(
    probabilities: ArrayLike, labels: ArrayLike, classes: Sequence[str], what: str
) -> tuple[Floats, Integers]:
    """Return both as arrays `(images, classes)` and `(images,)`; `what` names them in errors.

    Raises:
        PupilaError: they cannot be judged.
    """
    scores = np.asarray(probabilities, np.float64)
    truth = np.asarray(labels, np.int64)
    if truth.ndim != 1 or scores.shape != (len(truth), len(classes)):
        raise PupilaError(
            f"Probabilities of the {what} images have shape {scores.shape}, labels {truth.shape}: "
            f"expected (images, {len(classes)}) and (images,), one column for each of "
            f"{list(classes)}."
        )
    if not len(truth):
        raise PupilaError(f"There is no {what} image to judge: give at least one.")
    unfit = ~((scores >= -_ROUNDING) & (scores <= 1 + _ROUNDING))  # catches NaN too
    if unfit.any():
        row, column = (int(number) for number in np.argwhere(unfit)[0])
        raise PupilaError(
            f"{int(unfit.any(axis=1).sum())} of {len(truth)} {what} images have a probability "
            f"outside 0..1, first image {row}, class {classes[column]!r}: "
            f"{float(scores[row, column])!r}. Check the model for overflow, and the kind of its "
            f"output: logits must be declared as such."
        )
    strange = np.flatnonzero((truth < 0) | (truth >= len(classes)))
    if len(strange):
        raise PupilaError(
            f"Label {int(truth[strange[0]])!r} of {what} image {int(strange[0])} is out of range: "
            f"expected 0..{len(classes) - 1}, for {list(classes)}."
        )
    return scores, truth


def _column(positive: str, classes: Sequence[str]) -> int:
    if positive not in classes:
        raise PupilaError(no_class("positive", positive, classes))
    return list(classes).index(positive)


def proportion(hits: int, total: int) -> Estimate:
    """Return `hits / total` with the score interval of Wilson 1927 (JASA 22:209).

    `centre ± z/(1 + z²/n) · sqrt(p(1-p)/n + z²/4n²)`, `centre = (p + z²/2n)/(1 + z²/n)`.
    """
    part, squared = hits / total, _Z**2 / total
    centre = (part + squared / 2) / (1 + squared)
    half = _Z / (1 + squared) * sqrt(part * (1 - part) / total + squared / (4 * total))
    return Estimate(
        value=part,
        low=0.0 if hits == 0 else centre - half,
        high=1.0 if hits == total else centre + half,
        method="Wilson 1927",
    )


def accuracy(scores: Floats, truth: Integers) -> Estimate:
    """Return the part of the images whose most probable class is the true one."""
    return proportion(int((scores.argmax(axis=1) == truth).sum()), len(truth))


def confusion(scores: Floats, truth: Integers) -> tuple[tuple[int, ...], ...]:
    """Count images by true class (rows) and answered class (columns)."""
    classes = scores.shape[1]
    pairs = np.bincount(truth * classes + scores.argmax(axis=1), minlength=classes**2)
    return tuple(tuple(int(count) for count in row) for row in pairs.reshape(classes, classes))


def auc(scores: Floats, truth: Integers, column: int, seed: int = 0) -> Estimate | None:
    """Return the area under the ROC curve, or None where a class has no image.

    Two classes: of the class in `column` against the other. More: the unweighted mean over classes
    of each against the rest, with a bootstrap that keeps the number of images of each class; such
    an interval has no width where the classes are separated without a fault.
    """
    sizes = np.bincount(truth, minlength=scores.shape[1])
    if not sizes.all():
        return None
    if scores.shape[1] > 2:
        return _one_vs_rest(scores, truth, seed)
    is_positive = truth == column
    area = float(_areas(scores[:, column], is_positive, np.ones((1, len(truth))))[0])
    low, high = auc_interval(area, int(sizes[column]), int(sizes[1 - column]))
    return Estimate(value=area, low=low, high=high, method="Newcombe 2006, method 5")


def auc_interval(area: float, positives: int, negatives: int) -> tuple[float, float]:
    """Return the 95 % interval of an area under the ROC curve by Newcombe's method 5.

    Newcombe 2006, Statistics in Medicine 25:559. The limits are the θ that solve
    `(area - θ)² = z² θ(1-θ) (1 + N(1-θ)/(2-θ) + Nθ/(1+θ)) / mn` with `N = (m+n)/2 - 1`: the
    variance of Hanley and McNeil 1982, taken at the limit and not at the estimate, so that the
    interval keeps its width at 0 and 1 and never leaves 0..1.
    """
    extra = (positives + negatives) / 2 - 1

    def inside(theta: float) -> bool:
        spread = 1 + extra * (1 - theta) / (2 - theta) + extra * theta / (1 + theta)
        variance = theta * (1 - theta) * spread / (positives * negatives)
        return (area - theta) ** 2 <= _Z**2 * variance

    def limit(outer: float) -> float:
        inner = area
        while abs(outer - inner) > 1e-12:
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if inside(middle) else (inner, middle)
        return inner

    return limit(0.0), limit(1.0)


def _one_vs_rest(scores: Floats, truth: Integers, seed: int) -> Estimate:
    columns = range(scores.shape[1])

    def mean_area(counts: Floats) -> Floats:
        areas = [_areas(scores[:, column], truth == column, counts) for column in columns]
        return np.mean(areas, axis=0)

    blocks = [mean_area(counts) for counts in _resamples(truth, seed)]
    value = float(mean_area(np.ones((1, len(truth))))[0])
    return _bootstrapped(value, np.concatenate(blocks), seed, "stratified percentile bootstrap")


def _areas(scores: Floats, is_positive: NDArray[np.bool_], counts: Floats) -> Floats:
    """Return the area under the ROC curve of each row of `counts` `(draws, images)`.

    A count says how often an image was drawn. The area is the part of all (positive, negative)
    pairs that are in order, ties counting half: Mann and Whitney's U.
    """
    distinct, ranks = np.unique(scores, return_inverse=True)
    order = np.argsort(ranks, kind="stable")
    starts = np.searchsorted(ranks[order], np.arange(len(distinct)))
    sorted_counts, sorted_positive = counts[:, order], is_positive[order]
    positives = np.add.reduceat(sorted_counts * sorted_positive, starts, axis=1)
    negatives = np.add.reduceat(sorted_counts * ~sorted_positive, starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    return (positives * below).sum(axis=1) / pairs


def threshold_at(scores: Floats, is_positive: NDArray[np.bool_], specificity: float) -> float:
    """Return the threshold of the best sensitivity at a specificity not below the one wanted.

    An image counts as positive where its score is at least the threshold. Of the thresholds that
    do the same on these images, it is the one in the middle.

    Raises:
        PupilaError: `specificity` is not above 0 and at most 1.
    """
    if not 0 < specificity <= 1:
        raise PupilaError(f"Specificity {specificity!r} cannot be had: give one in (0, 1].")
    negatives = np.sort(scores[~is_positive])
    allowed = int((1 - specificity) * len(negatives) + 1e-9)  # 1 - 0.9 is a little under 0.1
    rejected = float(negatives[len(negatives) - 1 - allowed])
    above = scores[scores > rejected]
    return (rejected + float(above.min())) / 2 if len(above) else float(np.nextafter(rejected, 2))


def threshold_for(scores: Floats, is_positive: NDArray[np.bool_], sensitivity: float) -> float:
    """Return the threshold of the best specificity at a sensitivity not below the one wanted.

    An image counts as positive where its score is at least the threshold. Of the thresholds that
    do the same on these images, it is the one in the middle; where none lies lower, the highest.
    There need not be any other image than positive ones.

    Raises:
        PupilaError: `sensitivity` is not above 0 and at most 1.
    """
    if not 0 < sensitivity <= 1:
        raise PupilaError(f"Sensitivity {sensitivity!r} cannot be had: give one in (0, 1].")
    positives = np.sort(scores[is_positive])
    missed = int((1 - sensitivity) * len(positives) + 1e-9)  # as in `threshold_at`
    accepted = float(positives[missed])
    below = scores[scores < accepted]
    return (accepted + float(below.max())) / 2 if len(below) else accepted


def chosen_threshold(scores: Floats, is_positive: NDArray[np.bool_], rule: ThresholdRule) -> float:
    """Return the threshold that a rule chooses on `(images,)` scores of the positive class.

    Raises:
        PupilaError: there are no images of a class that the rule needs.
    """
    needed = is_positive if rule.figure == "sensitivity" else ~is_positive
    if not needed.any():
        kind = "of the positive class" if rule.figure == "sensitivity" else "of another class"
        raise PupilaError(
            f"A threshold for a {rule.figure} of {rule.target:g} cannot be chosen: of "
            f"{len(is_positive)} {rule.split} images none is {kind}. Add some."
        )
    choose = threshold_for if rule.figure == "sensitivity" else threshold_at
    return choose(scores, is_positive, rule.target)


def operating_point(
    scores: Floats, is_positive: NDArray[np.bool_], threshold: float, chosen_on: str
) -> OperatingPoint:
    """Measure sensitivity and specificity of `score >= threshold`; both classes must be there."""
    called = scores >= threshold
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    return OperatingPoint(
        threshold=threshold,
        chosen_on=chosen_on,
        sensitivity=proportion(int((called & is_positive).sum()), positives),
        specificity=proportion(int((~called & ~is_positive).sum()), negatives),
    )


def _operating_points(
    scores: Floats,
    truth: Integers,
    column: int,
    specificity: float,
    chosen_on: dict[str, tuple[Floats, Integers]],
) -> tuple[OperatingPoint, ...]:
    points: list[OperatingPoint] = []
    for name, (others, labels) in chosen_on.items():
        if _has_both(truth == column) and _has_both(labels == column):
            threshold = threshold_at(others[:, column], labels == column, specificity)
            points.append(operating_point(scores[:, column], truth == column, threshold, name))
    return tuple(points)


def _shipped(
    scores: Floats, is_positive: NDArray[np.bool_], shipped: Threshold | None, positive: str
) -> OperatingPoint | None:
    if shipped is None or shipped.positive != positive or not _has_both(is_positive):
        return None
    return operating_point(scores, is_positive, shipped.value, shipped.chosen_on)


def _has_both(is_positive: NDArray[np.bool_]) -> bool:
    return bool(is_positive.any() and not is_positive.all())


def calibration(scores: Floats, truth: Integers, seed: int = 0) -> tuple[Estimate, Estimate]:
    """Return the expected calibration error and the Brier score.

    ECE (Guo et al. 2017, equation 5): `Σ_b |Σ_{i in b} (correct_i - confidence_i)| / n` over 15
    equally wide bins of the confidence, the probability of the answer given. On few images it lies
    above the truth, and its resamples above it by as much again, so its interval is the basic
    bootstrap (Davison and Hinkley 1997, section 5.2), which turns them round the value. Simulated
    with a true ECE of 0.03 and 107 images, that held the truth 85 times in 100; the percentile
    interval, once.

    Brier 1950: the mean over images of `Σ_classes (probability - truth)²`, in 0..2.
    """
    confidence = scores.max(axis=1)
    gaps = (scores.argmax(axis=1) == truth) - confidence
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    order = np.argsort(bins, kind="stable")
    starts = np.flatnonzero(np.diff(bins[order], prepend=-1))
    squares = np.square(scores - np.eye(scores.shape[1])[truth]).sum(axis=1)

    def both(counts: Floats) -> Floats:
        sums = np.add.reduceat(counts * gaps[order], starts, axis=1)
        return np.stack([np.abs(sums).sum(axis=1), counts @ squares[order]], axis=1) / len(truth)

    resamples = _resamples(np.zeros_like(truth), seed)
    draws = np.concatenate([both(counts) for counts in resamples])
    ece, brier = (float(value) for value in both(np.ones((1, len(truth))))[0])
    turned = np.maximum(2 * ece - draws[:, 0], 0)
    return (
        _bootstrapped(ece, turned, seed, "basic bootstrap"),
        _bootstrapped(brier, draws[:, 1], seed, "percentile bootstrap"),
    )


def _resamples(strata: Integers, seed: int) -> Iterator[Floats]:
    """Yield blocks `(draws, images)` of how often each image is drawn, `DRAWS` rows in all.

    Drawing is with replacement, within each stratum as many as it has images.
    """
    random = np.random.default_rng(seed)
    total = len(strata)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    block = max(1, _BLOCK_COUNTS // total)
    for start in range(0, DRAWS, block):
        rows = min(block, DRAWS - start)
        offsets = np.arange(rows)[:, None] * total
        drawn = [
            offsets + rows_of[random.integers(0, len(rows_of), (rows, len(rows_of)))]
            for rows_of in members
        ]
        flat = np.concatenate(drawn, axis=1).ravel()
        yield np.bincount(flat, minlength=rows * total).reshape(rows, total).astype(np.float64)


def _bootstrapped(value: float, draws: Floats, seed: int, method: str) -> Estimate:
    """Return the middle 95 % of the draws, stretched to hold the value where bias moved them."""
    low, high = (float(limit) for limit in np.quantile(draws, [0.025, 0.975]))
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        method=f"{method}, {DRAWS} draws, seed {seed}",
    )


def agreement(name: str, probabilities: ArrayLike, reference: ArrayLike) -> Agreement:
    """Compare answers `(images, classes)` with those of the reference `name`, image by image.

    Raises:
        PupilaError: the two have not the same shape, or no image.
    """
    ours, theirs = np.asarray(probabilities, np.float64), np.asarray(reference, np.float64)
    if ours.shape != theirs.shape or ours.ndim != 2 or not len(ours):
        raise PupilaError(
            f"Answers {ours.shape} cannot be compared with those of {name!r}, {theirs.shape}: "
            f"both must be (images, classes) of the same images."
        )
    difference = np.abs(ours - theirs)
    return Agreement(
        reference=name,
        labels=proportion(int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum()), len(ours)),
        mean_difference=float(difference.mean()),
        largest_difference=float(difference.max()),
    )
