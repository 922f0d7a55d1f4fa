"""Learns from the teachers that are right, picture by picture.

Kang, Mun and Han 2020, "Towards oracle knowledge distillation with neural architecture search"
(AAAI 34): with u_k = 1 where teacher k gives the true class of a picture, else 0, the student
imitates the mean of the right ones, and learns from the label where none is right. Per picture, in
the notation of `pupila.training.loss`:

    some u_k = 1:  α · CE(y, softmax(z)) + (1 - α) · T² · KL(p̄ ‖ softmax(z/T)),
                   p̄ = Σ u_k softmax(t_k/T) / Σ u_k
    all u_k = 0:   CE(y, softmax(z))

Where a teacher is right the student imitates alone, so α is 0 by default. (Only the paper's
description of the method was at hand; whether it keeps a label term there is left to α. Its search
for an architecture is not part of this.) As in `distill`, distributions are averaged, not logits.
Teachers are checked on the very view that the student sees, against the class with the largest
label. A picture that is mixed with an unlabelled image has no known class: the student then
imitates the mean of all teachers.

Teachers run beforehand, one after another, and their answers are kept; a training step then needs
no more memory than that of one teacher. What makes such training fail is in
`docs/decisions/0009-learning-from-the-teachers-that-are-right.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.measured import OracleTeaching, TaughtFractions
from pupila.training.loss import Loss, distillation_loss, label_loss
from pupila.training.targets import pack_targets, softened_mean

_WHOLE = 0.999
"""Least sum of labels, in float32, of a picture that is not mixed with an unlabelled image."""


def has_label(labels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which pictures `(images,)` are labelled in full, from labels `(images, classes)`."""
    return labels.sum(axis=-1) > _WHOLE


def right_teachers(
    labels: NDArray[np.float32], probabilities: Sequence[NDArray[np.float32]]
) -> NDArray[np.bool_]:
    """Return `(teachers, images)`: which teachers give the class with the largest label.

    All do where a picture is not labelled in full.
    """
    answers = np.stack([answer.argmax(axis=-1) for answer in probabilities])
    return (answers == labels.argmax(axis=-1)) | ~has_label(labels)


def oracle_targets(
    labels: NDArray[np.float32], probabilities: Sequence[NDArray[np.float32]], temperature: float
) -> NDArray[np.float32]:
    """Return `(images, 2 × classes + 1)`: labels, teachers' logits, 1 where a teacher is right.

    The logits are those of the right teachers' mean; where none is right the loss ignores them.
    """
    right = right_teachers(labels, probabilities)
    any_right = right.any(axis=0)
    mean = softened_mean(probabilities, right | ~any_right, temperature)
    return pack_targets(labels, mean, any_right[:, np.newaxis].astype(np.float32))


def oracle_loss(alpha: float, temperature: float) -> Loss:
    """Return the loss of the module docstring, on the targets of `oracle_targets`."""
    imitation = distillation_loss(alpha, temperature)

    def loss(targets: Any, logits: Any) -> Any:
        any_right = targets[..., 2 * logits.shape[-1]]
        alone = label_loss(targets, logits)
        return any_right * imitation(targets, logits) + (1 - any_right) * alone

    return loss


def oracle_teaching(
    labels: Sequence[NDArray[np.float32]], views: Sequence[NDArray[np.float32]]
) -> OracleTeaching:
    """Return the fractions of the labelled pictures on which all, some or no teachers are right.

    `labels` are `(images, classes)` of each view; `views` are `(views, images, classes)` of each
    teacher.
    """
    answers = np.stack(views, axis=1)
    counts = np.concatenate(
        [
            right_teachers(y, list(answer)).sum(axis=0)[has_label(y)]
            for y, answer in zip(labels, answers, strict=True)
        ]
    )
    every, none = (counts == len(views)).mean(), (counts == 0).mean()
    return OracleTeaching(
        taught_by=TaughtFractions(
            all=round(float(every), 4),
            some=round(float(1 - every - none), 4),
            none=round(float(none), 4),
        )
    )
