"""Learns from the teachers that are right, picture by picture.

Kang, Mun and Han 2020, "Towards oracle knowledge distillation with neural architecture search"
(AAAI 34). The student imitates the mean of the teachers that are right. If no teacher is right, the
student learns from the label. Let u_k be 1 if teacher k gives the picture's true class, else 0. In
the notation of `pupila.training.loss`, the loss of the picture is

    some u_k = 1:  α · CE(y, softmax(z)) + (1 - α) · T² · KL(p̄ ‖ softmax(z/T)),
                   p̄ = Σ u_k softmax(t_k/T) / Σ u_k
    all u_k = 0:   CE(y, softmax(z))

By default α is 0: if a teacher is right, the student only imitates. (Only the paper's description
of the method was at hand. The description leaves open whether the loss has a label term even if a
teacher is right; here α decides. The paper's architecture search is not included.) As in `distill`,
distributions are averaged, not logits.

A teacher is right if its answer to the augmented view that the student sees is the class with the
largest label. A picture that is mixed with an unlabelled image has no known class; the student then
imitates the mean of all teachers.

Teachers run before the training, one after another, and their answers are kept, so a training step
needs no more memory than with one teacher. Mistakes with which this kind of training fails are
listed in `docs/decisions/0009-learning-from-the-teachers-that-are-right.md`.
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
"""A picture whose labels sum to less than this is unlabelled, or mixed with an unlabelled image."""


def has_label(labels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which pictures `(images,)` are fully labelled, given labels `(images, classes)`.

    A picture is not fully labelled if it is unlabelled or mixed with an unlabelled image.
    """
    return labels.sum(axis=-1) > _WHOLE


def right_teachers(
    labels: NDArray[np.float32], probabilities: Sequence[NDArray[np.float32]]
) -> NDArray[np.bool_]:
    """Return which teachers are right about which picture, `(teachers, images)`.

    `labels` are `(images, classes)`, and so are the probabilities of each teacher. A teacher is
    right if its most probable class has the largest label. If a picture is not fully labelled, all
    teachers count as right.
    """
    answers = np.stack([answer.argmax(axis=-1) for answer in probabilities])
    return (answers == labels.argmax(axis=-1)) | ~has_label(labels)


def oracle_targets(
    labels: NDArray[np.float32], probabilities: Sequence[NDArray[np.float32]], temperature: float
) -> NDArray[np.float32]:
    """Return the targets of `oracle_loss`, `(images, 2 × classes + 1)`.

    `labels` are `(images, classes)`, and so are the probabilities of each teacher. The columns of
    the targets are labels, then logits, then a column that is 1 if at least one teacher is right,
    else 0. The logits are those of the mean of the softened probabilities of the right teachers. If
    no teacher is right, the loss ignores the logits.
    """
    right = right_teachers(labels, probabilities)
    any_right = right.any(axis=0)
    mean = softened_mean(probabilities, right | ~any_right, temperature)
    return pack_targets(labels, mean, any_right[:, np.newaxis].astype(np.float32))


def oracle_loss(alpha: float, temperature: float) -> Loss:
    """Return the loss of the module docstring, for the targets of `oracle_targets`."""
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

    `labels` is a list over augmented views, with labels `(images, classes)` of each view. `views`
    is a list over teachers, with probabilities `(views, images, classes)` of each teacher.
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
