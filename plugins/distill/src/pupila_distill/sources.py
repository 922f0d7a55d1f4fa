"""Weights training images by their source, for example unlabelled images of another hospital.

The weight of an image is the last column of its targets. Weights are divided by their mean over the
images, so that they do not change the effective learning rate.
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
from pupila_distill.training import TrainingTargets

_COLUMN = "source"
"""Column of the manifest that names an image's source."""


def weigh_sources(targets: TrainingTargets, weights: Mapping[str, float]) -> TrainingTargets:
    """Return targets with a weight for each image, and a loss that is multiplied by this weight.

    `weights` has the weight of each named source. Images of other sources have the weight 1.

    Raises:
        PupilaError: the images have no sources, or a named source has no images.
    """
    if not weights:
        return targets
    of_images = _weights(targets.images, weights)[:, np.newaxis]
    one = np.ones((len(targets.validation), 1), np.float32)
    return replace(
        targets,
        views=[JoinedTargets(view, of_images) for view in targets.views],
        validation=pack_targets(targets.validation, one),
        loss=_weigh(targets.loss),
    )


def _weigh(loss: Loss) -> Loss:
    def weighed_loss(targets: Any, outputs: Any) -> Any:
        return targets[..., -1] * loss(targets[..., :-1], outputs)

    return weighed_loss


def _weights(images: Dataset, weights: Mapping[str, float]) -> NDArray[np.float32]:
    if _COLUMN not in images.frame:
        raise PupilaError(
            f"`source_weights` names {', '.join(map(repr, weights))}, but the images have no "
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
