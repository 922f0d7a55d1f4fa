"""Is a classifier above chance at all? A floor under every teacher, pupil and published model.

Of two classes it is asked whether images of the one get higher scores than images of the other: the
exact one-sided rank test (Mann and Whitney 1947, Annals of Mathematical Statistics 18:50), given
the ties. Of more, whether the lower end of the interval of the accuracy (Clopper and Pearson 1934,
Biometrika 26:404) lies above the share of the largest class, which a model has that always answers
that class. A class of which there is one image shows nothing, whatever the figures are.
Of each patient, where they are known, one image counts; of those who have images of several classes
one of a class that has few.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
"""Of each class: of fewer nothing is shown."""

_MOST_WORK = 2e9
"""Additions for an exact p-value: some seconds. Beyond, labels are shuffled."""
_SHUFFLES = 4_999
_SHUFFLED_AT_ONCE = 1_000_000
"""Numbers: bounds memory."""


class ChanceCheck(BaseModel):
    """Whether a classifier is above chance on some labelled images, and what it reached."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    counts: dict[str, int] = Field(description="Images of each class, by its name.")
    one_each: bool = Field(default=False, description="They are one image of each patient.")
    figure: Literal["AUC", "accuracy"]
    reached: float | None = Field(description="None where a class has no image.")
    chance: float = Field(description="What the figure is by chance.")
    p_value: float | None = Field(
        default=None, description="Of the AUC, by the exact one-sided rank test."
    )
    interval: Estimate | None = Field(default=None, description="Of the accuracy.")
    above: bool = Field(description="Whether it is shown to be above chance.")
    order: tuple[str, ...] | None = Field(
        default=None,
        description="Another order of the classes with which the model would be above chance, and "
        "reach more.",
    )
    order_reaches: float | None = None

    @property
    def images(self) -> int:
        return sum(self.counts.values())

    @property
    def has_enough_images(self) -> bool:
        """Whether there are images enough of each class to show anything at all."""
        return min(self.counts.values()) >= LEAST_IMAGES

    def describe(self, images: str) -> str:
        """Say what was reached on how many images, as the end of a sentence; `images` is a split.

        `not above chance on 105 validation images (53 glaucoma, 52 normal): AUC 0.004, …`
        """
        counts = join_names(f"{count} {name}" for name, count in self.counts.items())
        shown = "above chance" if self.above else "not shown to be above chance"
        which = ", one of each patient" if self.one_each else ""
        on = f"{shown} on {self.images} {images} images{which} ({counts})"
        if not self.has_enough_images:
            return f"{on}: it takes at least {LEAST_IMAGES} of each class to show anything"
        return f"{on}: {self._figures()}"

    @property
    def order_hint(self) -> str:
        """Say what another order of the classes would reach; empty where none is better."""
        if not self.order:
            return ""
        names = ", ".join(self.order)
        return f"With the classes in the order {names} it would reach {self.order_reaches:.3f}"

    def _figures(self) -> str:
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
    """Hold `probabilities` `(images, classes)` against `labels` `(images,)`, indices of `classes`.

    Of two classes the probability of `positive` is ranked, by default of the first. With
    `patients`, a value for each image, only one image of each counts: those of one patient are
    alike, and both tests are of independent images.

    Raises:
        PupilaError: the arrays do not fit, or a label is not one of the classes.
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
        found = _by_rank(scores[:, column], truth == column, tuple(classes), by_name)
    else:
        found = _by_accuracy(scores.argmax(axis=1), truth, tuple(classes), by_name)
    return found.model_copy(update={"one_each": patients is not None})


def _one_of_each(truth: Integers, patients: NDArray[Any]) -> list[int]:
    """Return one image of each patient: the first of the class that has the fewest so far.

    Patients of one class come first. Without that, all patients who have an image of either class
    would be of the one that is listed first, and none of the other. No answer has a part in it.
    """
    images: dict[Any, dict[int, int]] = {}
    for row, (patient, label) in enumerate(zip(patients.tolist(), truth.tolist(), strict=True)):
        images.setdefault(patient, {}).setdefault(label, row)
    counts = dict.fromkeys(truth.tolist(), 0)
    rows: list[int] = []
    for of_class in sorted(images.values(), key=len):
        label = min(of_class, key=lambda each: (counts[each], each))
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
    """Return the AUC, and the probability of one as large if scores tell nothing of the labels.

    That is the part of all ways to label so many of these images positive in which their ranks, of
    ties the mean, add up to as much. Every way is counted where that takes no more than some
    seconds; of more images it is that of `_SHUFFLES` random ones and the one at hand, which keeps
    the level too (Dwass 1957, Annals of Mathematical Statistics 28:181).
    """
    # from the side of the smaller class, and ranked from the end on which it should be
    swapped = 2 * int(is_positive.sum()) > len(scores)
    chosen = ~is_positive if swapped else is_positive
    ranks = np.rint(2 * midranks(scores if swapped else -scores)).astype(np.int64) - 2
    size, total = int(chosen.sum()), int(ranks[chosen].sum())
    rest = len(scores) - size
    area = 1 - (total - size * (size - 1)) / (2 * size * rest)
    exact = (size + 1) * (total + 1) * len(scores) <= _MOST_WORK and _countable(len(scores), size)
    return area, (_counted if exact else _shuffled)(ranks, size, total)


def _countable(images: int, size: int) -> bool:
    """Whether a float holds the number of ways."""
    return math.lgamma(images + 1) - math.lgamma(size + 1) - math.lgamma(images - size + 1) < 700


def _counted(ranks: Integers, size: int, total: int) -> float:
    """Return the part of the ways to choose `size` of the ranks that add up to `total` or less."""
    ways = np.zeros((size + 1, total + 1))
    ways[0, 0] = 1
    for rank in ranks.tolist():
        if rank <= total:
            ways[1:, rank:] += ways[:-1, : total + 1 - rank]
    return float(ways[size].sum() / math.comb(len(ranks), size))


def _shuffled(ranks: Integers, size: int, total: int) -> float:
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
    own = check_limit(hits, images, share).part
    helps = enough and as_ordered > hits and own.low <= share
    helps = helps and check_limit(as_ordered, images, share).part.low > share
    return ChanceCheck(
        counts=counts,
        figure="accuracy",
        reached=hits / images,
        chance=share,
        interval=own,
        above=enough and own.low > share,
        order=tuple(classes[each] for each in order) if helps else None,
        order_reaches=as_ordered / images if helps else None,
    )


def _better_order(confusion: Integers) -> list[int]:
    """Return the class of each column so that no exchange of two gives more right answers.

    `confusion` has a row for each true class. A permutation that was typed wrong is found.
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
