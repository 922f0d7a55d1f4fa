"""Weighs the images of a lesson by where they are from, such as another hospital's unlabelled ones.

The weight is the last column of the targets. Weights are divided by their mean over the images, so
that they do not change the rate at which is learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, PupilaError
from pupila.errors import nearest
from pupila.training.loss import Loss
from pupila.training.targets import JoinedTargets, pack_targets
from pupila_distill.training import Lesson

_COLUMN = "source"
"""Of the manifest."""


def weighed(lesson: Lesson, weights: Mapping[str, float]) -> Lesson:
    """Return a lesson in which the images of each source named have its weight, others 1.

    Raises:
        PupilaError: the images tell no source, or not one that is named.
    """
    if not weights:
        return lesson
    of_images = _weights(lesson.images, weights)[:, np.newaxis]
    one = np.ones((len(lesson.validation_targets), 1), np.float32)
    return replace(
        lesson,
        targets=[JoinedTargets(targets, of_images) for targets in lesson.targets],
        validation_targets=pack_targets(lesson.validation_targets, one),
        loss=_weighed(lesson.loss),
    )


def _weighed(loss: Loss) -> Loss:
    def weighed_loss(targets: Any, outputs: Any) -> Any:
        return targets[..., -1] * loss(targets[..., :-1], outputs)

    return weighed_loss


def _weights(images: Dataset, weights: Mapping[str, float]) -> NDArray[np.float32]:
    if _COLUMN not in images.frame:
        raise PupilaError(
            f"`source_weights` names {', '.join(map(repr, weights))}, but the images tell no "
            f"source: give a CSV manifest with a column `{_COLUMN}`."
        )
    sources: list[str] = images.frame[_COLUMN].tolist()
    for name in weights:
        if name not in sources:
            known = sorted(set(sources))
            raise PupilaError(
                f"`source_weights` names {name!r}, but no image to learn from has it in the column "
                f"`{_COLUMN}`.{nearest(name, known)} There are: {', '.join(map(repr, known))}."
            )
    of_images = np.array([weights.get(source, 1.0) for source in sources], np.float32)
    return of_images / of_images.mean()
