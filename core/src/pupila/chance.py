"""Tests whether a classifier is better than chance: required of teachers, pupils and releases.

With two classes, a one-sided rank test checks whether images of one class get higher scores than
images of the other class (Mann and Whitney 1947, Annals of Mathematical Statistics 18:50). The test
is exact, also with ties. With more classes, the lower end of the accuracy's interval (Clopper and
Pearson 1934, Biometrika 26:404) must be above the fraction of images in the largest class: a model
that always answers with the largest class reaches this fraction.

Each class must have at least two images. If patients are known, only one image of each patient
counts, because both tests assume independent images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from pupila.errors import PupilaError, join_names, list_names
from pupila.evaluation import Estimate
from pupila.noninferiority import LEVEL, check_limit
from pupila.roc import midranks

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

LEAST_IMAGES = 2
"""Fewest images of each class with which the test can show anything."""

_MOST_WORK = 2e9
"""Most additions for an exact p-value (some seconds); beyond it, labels are shuffled instead."""
_SHUFFLES = 4_999
_SHUFFLED_AT_ONCE = 1_000_000
"""Random numbers held in memory at a time while labels are shuffled."""


class ChanceCheck(BaseModel):
    """Result of testing on labelled images whether a classifier is better than chance."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    counts: dict[str, int] = Field(description="Images of each class, by its name.")
    one_each: bool = Field(default=False, description="Whether one image of each patient counts.")
    figure: Literal["AUC", "accuracy"]
    reached: float | None = Field(
        description="Value of the figure; None if no class, or only one class, has images."
    )
    chance: float = Field(description="Value of the figure by chance.")
    p_value: float | None = Field(
        default=None, description="p-value of the AUC by the one-sided rank test."
    )
    interval: Estimate | None = Field(default=None, description="95 % interval of the accuracy.")
    above: bool = Field(description="Whether the model is shown to be above chance.")
    order: tuple[str, ...] | None = Field(
        default=None,
        description="Another order of the classes with which the model would be above chance. None "
        "if the model is above chance in its own order, or if no order helps.",
    )
    order_reaches: float | None = None

    @property
    def images(self) -> int:
        return sum(self.counts.values())

    @property
    def has_enough_images(self) -> bool:
        """Whether each class has `LEAST_IMAGES` images, without which the test shows nothing."""
        return min(self.counts.values()) >= LEAST_IMAGES

    def describe(self, images: str) -> str:
        """Return the result as the end of a sentence; `images` is the name of the split.

        For example: `above chance on 105 validation images (53 glaucoma, 52 normal): AUC 0.9, …`
        """
        counts = join_names(f"{count} {name}" for name, count in self.counts.items())
        shown = "above chance" if self.above else "not shown to be above chance"
        which = ", one of each patient" if self.one_each else ""
        on = f"{shown} on {self.images} {images} images{which} ({counts})"
        if not self.has_enough_images:
            return f"{on}: it takes at least {LEAST_IMAGES} of each class to show anything"
        return f"{on}: {self._describe_figure()}"

    @property
    def order_hint(self) -> str:
        """Hint at an order of the classes with which the model would be above chance.

        The hint names the order, and the AUC or accuracy that the model would reach with this
        order. The hint is empty if no order helps, or if the model's own order is above chance.
        """
        if not self.order:
            return ""
        names = ", ".join(self.order)
        return f"With the classes in the order {names} it would reach {self.order_reaches:.3f}"

    def _describe_figure(self) -> str:
        value = f"{self.figure} {self.reached:.3f}"
        if self.interval:
            return (
                f"{value}, and the 95 % interval begins at {self.interval.low:.3f}, where the "
                f"largest class alone is {self.chance:.3f}"
            )
        return f"{value}, p = {self.p_value:.2g} in the one-sided rank test, wanted {LEVEL}"


def check_chance(
    probabilities: ArrayLike,
    labels: ArrayLike,
    classes: Sequence[str],
    positive: str | None = None,
    patients: ArrayLike | None = None,
) -> ChanceCheck:
    """Test whether a classifier's answers to labelled images are better than chance.

    `probabilities` are `(images, classes)`; `labels` are indices of `classes`, `(images,)`. With
    two classes, images are ranked by the probability of `positive` (default: the first class).
    `patients` has the name of each image's patient, `(images,)`. If it is given, only one image of
    each patient counts.

    Raises:
        PupilaError: the arrays' shapes do not match, or a label is not one of the classes.
    """
    scores, truth = np.asarray(probabilities, np.float64), np.asarray(labels, np.int64)
    if scores.shape != (len(truth), len(classes)) or len(classes) < 2:
        raise PupilaError(
            f"Probabilities of shape {scores.shape!r} and labels of shape {truth.shape!r} are not "
            f"those of images of {len(classes)} classes: expected (images, classes) and (images,)."
        )
    if len(truth) and not 0 <= truth.min() <= truth.max() < len(classes):
        raise PupilaError(
            f"Labels {list_names(sorted(set(truth.tolist())))} are not those of "
            f"{list_names(classes)}."
        )
    if patients is not None:
        rows = _one_of_each(truth, np.asarray(patients))
        scores, truth = scores[rows], truth[rows]
    counts = np.bincount(truth, minlength=len(classes))
    by_name = dict(zip(classes, counts.tolist(), strict=True))
    if len(classes) == 2:
        column = classes.index(positive) if positive else 0
        check = _by_rank(scores[:, column], truth == column, tuple(classes), by_name)
    else:
        check = _by_accuracy(scores.argmax(axis=1), truth, tuple(classes), by_name)
    return check.model_copy(update={"one_each": patients is not None})


def _one_of_each(truth: Integers, patients: NDArray[Any]) -> list[int]:
    """Return one row per patient: the first image of the class that has the fewest images so far.

    Patients with images of a single class are counted first. Otherwise all patients with images of
    both classes would count for the class that is listed first. The model's answers are not used.
    """
    images: dict[Any, dict[int, int]] = {}
    for row, (patient, label) in enumerate(zip(patients.tolist(), truth.tolist(), strict=True)):
        images.setdefault(patient, {}).setdefault(label, row)
    counts = dict.fromkeys(truth.tolist(), 0)
    rows: list[int] = []
    for of_class in sorted(images.values(), key=len):
        label = min(of_class, key=lambda name: (counts[name], name))
        counts[label] += 1
        rows.append(of_class[label])
    return sorted(rows)


# Two classes ---------------------------------------------------------------------------------


def _by_rank(
    scores: Floats, is_positive: NDArray[np.bool_], classes: tuple[str, ...], counts: dict[str, int]
) -> ChanceCheck:
    if not min(counts.values()):
        return ChanceCheck(counts=counts, figure="AUC", reached=None, chance=0.5, above=False)
    enough = min(counts.values()) >= LEAST_IMAGES
    area, p_value = auc_and_p_value(scores, is_positive)
    reversed_passes = enough and area < 0.5 and auc_and_p_value(-scores, is_positive)[1] <= LEVEL
    return ChanceCheck(
        counts=counts,
        figure="AUC",
        reached=area,
        chance=0.5,
        p_value=p_value,
        above=enough and p_value <= LEVEL,
        order=classes[::-1] if reversed_passes else None,
        order_reaches=1 - area if reversed_passes else None,
    )


def auc_and_p_value(scores: Floats, is_positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the AUC and its one-sided p-value under the hypothesis that scores are uninformative.

    `scores` and `is_positive` are `(images,)`. Consider every way to label the same number of these
    images positive. The p-value is the fraction of these labellings in which the positive images'
    sum of (mid)ranks is at least as large as observed. All labellings are counted if that takes no
    more than some seconds. Otherwise only the given labelling and `_SHUFFLES` random labellings are
    counted; the test keeps its level in this case too (Dwass 1957, Annals of Mathematical
    Statistics 28:181).
    """
    # for the smaller class, ranked from the end at which it should be
    swapped = 2 * int(is_positive.sum()) > len(scores)
    chosen = ~is_positive if swapped else is_positive
    ranks = np.rint(2 * midranks(scores if swapped else -scores)).astype(np.int64) - 2
    size, total = int(chosen.sum()), int(ranks[chosen].sum())
    rest = len(scores) - size
    area = 1 - (total - size * (size - 1)) / (2 * size * rest)
    exact = (size + 1) * (total + 1) * len(scores) <= _MOST_WORK and _countable(len(scores), size)
    return area, _p_value(ranks.tobytes(), size, total, exact)


@lru_cache
def _p_value(ranks: bytes, size: int, total: int, exact: bool) -> float:
    """Remember the p-values of rankings: a gate asks for those of a teacher beside each pupil."""
    return (_exact_p_value if exact else _shuffled_p_value)(
        np.frombuffer(ranks, np.int64), size, total
    )


def _countable(images: int, size: int) -> bool:
    """Tell whether the number of ways to choose `size` of the images fits into a float."""
    return math.lgamma(images + 1) - math.lgamma(size + 1) - math.lgamma(images - size + 1) < 700


def _exact_p_value(ranks: Integers, size: int, total: int) -> float:
    """Return the fraction of all choices of `size` ranks whose sum is at most `total`."""
    ways = np.zeros((size + 1, total + 1))
    ways[0, 0] = 1
    for rank in ranks.tolist():
        if rank <= total:
            ways[1:, rank:] += ways[:-1, : total + 1 - rank]
    return float(ways[size].sum() / math.comb(len(ranks), size))


def _shuffled_p_value(ranks: Integers, size: int, total: int) -> float:
    random, as_low = np.random.default_rng(0), 0
    block = max(1, _SHUFFLED_AT_ONCE // len(ranks))
    for start in range(0, _SHUFFLES, block):
        rows = min(block, _SHUFFLES - start)
        shuffled = random.permuted(np.broadcast_to(ranks, (rows, len(ranks))), axis=1)
        as_low += int((shuffled[:, :size].sum(axis=1) <= total).sum())
    return (as_low + 1) / (_SHUFFLES + 1)


# More classes --------------------------------------------------------------------------------


def _by_accuracy(
    answers: Integers, truth: Integers, classes: tuple[str, ...], counts: dict[str, int]
) -> ChanceCheck:
    images, largest = len(truth), max(counts.values())
    if largest == images:  # of one class, or none at all
        return ChanceCheck(counts=counts, figure="accuracy", reached=None, chance=1, above=False)
    enough = min(counts.values()) >= LEAST_IMAGES
    share = largest / images
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (truth, answers), 1)
    hits = int(np.trace(confusion))
    order = _better_order(confusion)
    as_ordered = int(confusion[order, np.arange(len(classes))].sum())
    own = check_limit(hits, images, share).proportion
    helps = enough and as_ordered > hits and own.low <= share
    helps = helps and check_limit(as_ordered, images, share).proportion.low > share
    return ChanceCheck(
        counts=counts,
        figure="accuracy",
        reached=hits / images,
        chance=share,
        interval=own,
        above=enough and own.low > share,
        order=tuple(classes[index] for index in order) if helps else None,
        order_reaches=as_ordered / images if helps else None,
    )


def _better_order(confusion: Integers) -> list[int]:
    """Return an order of the classes that no swap of two classes improves.

    `confusion` has a row for each true class; an order is better if more answers are correct. If a
    model's classes were merely listed in the wrong order, the result is the right order.
    """
    order = list(range(len(confusion)))
    improved = True
    while improved:
        improved = False
        for one, other in combinations(range(len(order)), 2):
            now = confusion[order[one], one] + confusion[order[other], other]
            if confusion[order[other], one] + confusion[order[one], other] > now:
                order[one], order[other] = order[other], order[one]
                improved = True
    return order
