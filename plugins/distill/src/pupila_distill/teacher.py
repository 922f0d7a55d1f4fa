"""Looks at a teacher before hours are spent on learning from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, Dataset, PupilaError
from pupila.evaluation import Estimate
from pupila.metrics import accuracy, auc, checked


def check_teacher(
    teacher: Artifact, validation: Dataset, probabilities: NDArray[np.float32]
) -> Estimate:
    """Return the teacher's accuracy on validation images, given its `(images, classes)` there.

    Better than chance means: the 95 % interval of its AUC lies above 0.5 (or there is no fault at
    all, on however few images). Where a class has no image, accuracy is compared with the share of
    the most frequent class instead.

    Raises:
        PupilaError: the teacher is not better than chance, or answers the other way round.
    """
    scores, labels = checked(probabilities, validation.labels, validation.classes, "validation")
    area, exactness = auc(scores, labels, column=0), accuracy(scores, labels)
    found, measure, chance = area or exactness, "AUC", 0.5
    if area is None:
        measure, chance = "accuracy", float(np.bincount(labels).max() / len(labels))
    if area and area.high < chance and len(validation.classes) == 2:
        declared = list(teacher.record.output.classes)
        raise PupilaError(
            f"The teacher looks reversed: AUC {_said(area)} on {len(labels)} validation images. "
            f"Its columns were declared as {declared}: declare classes: {declared[::-1]}."
        )
    if found.low <= chance and found.value < 1:
        raise PupilaError(
            f"The teacher is not shown to be better than chance: {measure} {_said(found)} on "
            f"{len(labels)} validation images, where chance has {chance:.3f}. A student would "
            f"learn nothing from it. Check the order of its `classes` and what input it expects, "
            f"give another teacher, or more validation images."
        )
    return exactness


def _said(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} (95 % interval {estimate.low:.3f} to {estimate.high:.3f})"
