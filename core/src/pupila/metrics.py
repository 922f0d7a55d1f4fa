"""Metrics of one classifier on one set of images, each with a 95 % interval.

`probabilities` are `(images, classes)`; `labels` are indices of the columns, `(images,)`.
`docs/decisions/0003-intervals.md` describes how the intervals are computed, and their coverage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pupila.artifact import Threshold, ThresholdRule
from pupila.calibration import calibration
from pupila.errors import PupilaError, check_class, list_names
from pupila.evaluation import Estimate, Metrics, OperatingPoint
from pupila.intervals import Bools, Floats, Integers, members_of, share
from pupila.roc import auc
from pupila.ties import tied

_ROUNDING = 0.01
"""How far a probability may lie outside 0..1, because 8-bit outputs are rounded."""


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
    patients: ArrayLike | None = None,
) -> Metrics:
    """Return all metrics of a classifier's answers to the images of one split, named `split`.

    Two thresholds for the given `specificity` are chosen. The first is chosen on validation images:
    `validation` has their probabilities and labels, if given. The second is chosen on the evaluated
    images themselves, so its operating point is optimistic.

    `shipped` is the threshold in the model's record. If it is for another class than `positive`, it
    is used only with two classes: an image is then positive above 1 minus the threshold.

    With two classes, accuracy is measured at the shipped threshold. The confusion matrix is
    measured at the shipped threshold or, if there is none, at the threshold chosen on validation
    images. If there is no such threshold, the answer to an image is its most probable class. With
    more than two classes, it always is.

    The AUC or an operating point is left out if the evaluated images lack a class that the figure
    needs. An operating point is also left out if its threshold cannot be chosen, because the images
    to choose it on lack a class. If `patients` gives the patient of each image, intervals are by
    patient.

    Raises:
        PupilaError: there are no images, shapes do not fit, a value is not a probability, a label
            is out of range, the positive class is unknown, or the specificity is outside 0..1.
    """
    scores, truth = check_answers(probabilities, labels, classes, what=split)
    column = _column(positive, classes)
    chosen_on = {split: (scores, truth)}
    if validation is not None and split != "validation":
        chosen_on = {
            "validation": check_answers(*validation, classes, what="validation"),
            **chosen_on,
        }
    ece, brier = calibration(scores, truth, seed, patients)
    scored = _ScoredImages(positive, scores[:, column], truth == column, patients)
    ships = shipped if shipped and shipped.positive in _decisive(positive, classes) else None
    answers = answers_of(scores, classes, ships)
    locked = scored.at_chosen(column, specificity, chosen_on)
    shipped_point = ships and scored.at_shipped(
        ships, scores[:, list(classes).index(ships.positive)]
    )
    point = shipped_point or next((other for other in locked if other.chosen_on != split), None)
    at = point.threshold if point and len(classes) == 2 else None
    return Metrics(
        images=len(truth),
        patients=None if patients is None else int(members_of(patients).max()) + 1,
        positive=positive,
        accuracy=share(answers == truth, patients),
        auc=auc(scores, truth, column, patients),
        operating_points=locked,
        shipped=shipped_point,
        confusion=confusion(
            answers if shipped_point else _answers_at(scores, column, at), truth, len(classes)
        ),
        confusion_at=at,
        ece=ece,
        brier=brier,
        tied=tied(scores),
    )


def check_answers(
    probabilities: ArrayLike, labels: ArrayLike, classes: Sequence[str], what: str
) -> tuple[Floats, Integers]:
    """Check probabilities `(images, classes)` and labels `(images,)`, and return them as arrays.

    `what` names the images in errors.

    Raises:
        PupilaError: there are no images, or shapes, probabilities or labels are wrong.
    """
    scores = np.asarray(probabilities, np.float64)
    truth = np.asarray(labels, np.int64)
    if truth.ndim != 1 or scores.shape != (len(truth), len(classes)):
        raise PupilaError(
            f"Probabilities of the {what} images have shape {scores.shape}, labels {truth.shape}: "
            f"expected (images, {len(classes)}) and (images,), one column for each of "
            f"{list_names(classes)}."
        )
    if not len(truth):
        raise PupilaError(f"No {what} images to evaluate: give at least one.")
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
            f"expected 0..{len(classes) - 1}, for {list_names(classes)}."
        )
    return scores, truth


def _column(positive: str, classes: Sequence[str]) -> int:
    check_class("positive", positive, classes)
    return list(classes).index(positive)


def _decisive(positive: str, classes: Sequence[str]) -> Sequence[str]:
    """Return the classes whose threshold decides which images are classified as `positive`."""
    return classes if len(classes) == 2 else (positive,)


def answers_of(scores: Floats, classes: Sequence[str], shipped: Threshold | None) -> Integers:
    """Return the column of the class that a model gives each image, `(images,)`.

    `scores` are probabilities `(images, classes)`. With two classes and a shipped threshold, the
    threshold decides the class. With more classes, or without a threshold, the most probable class
    is taken.
    """
    if shipped is None or shipped.positive not in classes:
        return scores.argmax(axis=1)
    return _answers_at(scores, list(classes).index(shipped.positive), shipped.value)


def _answers_at(scores: Floats, column: int, threshold: float | None) -> Integers:
    if threshold is None or scores.shape[1] != 2:
        return scores.argmax(axis=1)
    return np.where(scores[:, column] >= threshold, column, 1 - column)


def confusion(answers: Integers, truth: Integers, classes: int) -> tuple[tuple[int, ...], ...]:
    """Count images by true class (rows) and predicted class (columns).

    `answers` and `truth` are indices of the classes, `(images,)`; `classes` is their number.
    """
    pairs = np.bincount(truth * classes + answers, minlength=classes**2)
    return tuple(tuple(int(count) for count in row) for row in pairs.reshape(classes, classes))


def balanced_accuracy(decided: Floats, truth: Integers, classes: Sequence[str]) -> float:
    """Return the mean over classes of the fraction of their images that get the right class.

    `decided` is 1 for the class that an image gets, `(images, classes)`. The result is NaN if a
    class has no image (Brodersen et al. 2010, ICPR, section II).
    """
    images = np.bincount(truth, minlength=len(classes))
    right = np.bincount(truth, decided[np.arange(len(truth)), truth], minlength=len(classes))
    return float((right / images).mean()) if images.all() else float("nan")


def threshold_at(scores: Floats, is_positive: Bools, specificity: float) -> float:
    """Return the threshold with the best sensitivity whose specificity is at least `specificity`.

    `scores` and `is_positive` are `(images,)`. An image counts as positive if its score is at least
    the threshold. Of all thresholds that give the same answers on these images, the middle one is
    returned.

    Raises:
        PupilaError: `specificity` is not in (0, 1].
    """
    if not 0 < specificity <= 1:
        raise PupilaError(f"Specificity {specificity!r} cannot be had: give one in (0, 1].")
    negatives = np.sort(scores[~is_positive])
    allowed = int((1 - specificity) * len(negatives) + 1e-9)  # 1 - 0.9 is a little under 0.1
    rejected = float(negatives[len(negatives) - 1 - allowed])
    above = scores[scores > rejected]
    return (rejected + float(above.min())) / 2 if len(above) else float(np.nextafter(rejected, 2))


def threshold_for(scores: Floats, is_positive: Bools, sensitivity: float) -> float:
    """Return a threshold with a sensitivity of at least `sensitivity`, as specific as possible.

    `scores` and `is_positive` are `(images,)`. An image counts as positive if its score is at least
    the threshold. So the highest accepted score that reaches the sensitivity is sought, for which
    images of other classes are not needed. The threshold lies halfway between that score and the
    next lower score of any image; if there is no lower score, it is that score itself.

    Raises:
        PupilaError: `sensitivity` is not in (0, 1].
    """
    if not 0 < sensitivity <= 1:
        raise PupilaError(f"Sensitivity {sensitivity!r} cannot be had: give one in (0, 1].")
    positives = np.sort(scores[is_positive])
    missed = int((1 - sensitivity) * len(positives) + 1e-9)  # as in `threshold_at`
    accepted = float(positives[missed])
    below = scores[scores < accepted]
    return (accepted + float(below.max())) / 2 if len(below) else accepted


def choose_threshold(scores: Floats, is_positive: Bools, rule: ThresholdRule) -> float:
    """Return the threshold that the rule `rule` chooses on some images.

    `scores` are probabilities of the positive class, `(images,)`; `is_positive` is `(images,)`.

    Raises:
        PupilaError: a class that the rule needs has no images.
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
    scores: Floats,
    is_positive: Bools,
    threshold: float,
    chosen_on: str,
    images: int | None = None,
    patients: ArrayLike | None = None,
) -> OperatingPoint:
    """Measure sensitivity and specificity of a threshold.

    An image is classified as positive if its score is at least `threshold`. `scores` and the true
    classes `is_positive` are `(images,)`. There must be both positive and other images. `chosen_on`
    names the images on which the threshold was chosen, and `images` is their number, if known.
    """
    return _measure_point(scores >= threshold, is_positive, threshold, chosen_on, images, patients)


def _measure_point(
    called: Bools,
    is_positive: Bools,
    threshold: float,
    chosen_on: str,
    images: int | None,
    patients: ArrayLike | None,
) -> OperatingPoint:
    groups = None if patients is None else members_of(patients)

    def rate(rows: Bools, hits: Bools) -> Estimate:
        return share(hits[rows], None if groups is None else groups[rows])

    return OperatingPoint(
        threshold=threshold,
        chosen_on=chosen_on,
        images=images,
        sensitivity=rate(is_positive, called),
        specificity=rate(~is_positive, ~called),
        accuracy=share(called == is_positive, patients),
    )


@dataclass(frozen=True)
class _ScoredImages:
    """Scored images on which operating points are measured."""

    positive: str
    scores: Floats
    """Probability of the positive class."""
    is_positive: Bools
    patients: ArrayLike | None

    def at_chosen(
        self, column: int, specificity: float, on: dict[str, tuple[Floats, Integers]]
    ) -> tuple[OperatingPoint, ...]:
        """Choose a threshold on each set in `on` and measure it; skip sets without both classes."""
        return tuple(
            self._at(
                threshold_at(others[:, column], labels == column, specificity), name, len(labels)
            )
            for name, (others, labels) in on.items()
            if _has_both(self.is_positive) and _has_both(labels == column)
        )

    def at_shipped(self, shipped: Threshold, scores: Floats) -> OperatingPoint | None:
        """Measure the shipped threshold; `scores` are the probabilities of its class."""
        if not _has_both(self.is_positive):
            return None
        rule, value, called = shipped.rule, shipped.value, scores >= shipped.value
        if shipped.positive != self.positive:
            value, called = float(np.nextafter(1 - value, 2)), ~called
        images = rule.positives + rule.others if rule else None
        return _measure_point(
            called, self.is_positive, value, shipped.chosen_on, images, self.patients
        )

    def _at(self, threshold: float, chosen_on: str, images: int | None) -> OperatingPoint:
        return operating_point(
            self.scores, self.is_positive, threshold, chosen_on, images, self.patients
        )


def _has_both(is_positive: Bools) -> bool:
    return bool(is_positive.any() and not is_positive.all())
