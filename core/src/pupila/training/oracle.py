"""Learns from those teachers that are right, picture by picture.

Kang, Mun and Han 2020, "Towards oracle knowledge distillation with neural architecture search"
(AAAI 34): with u_k = 1 where teacher k gives the true class of a picture, else 0, the student
imitates the mean of the right ones, and learns from the label where none is right. Per picture, in
the notation of `pupila.training.loss`:

    some u_k = 1:  α · CE(y, softmax(z)) + (1 - α) · T² · KL(p̄ ‖ softmax(z/T)),
                   p̄ = Σ u_k softmax(t_k/T) / Σ u_k
    all u_k = 0:   CE(y, softmax(z))

Where a teacher is right the student imitates alone, so α is 0 unless set (of the paper no more than
its description of the method was at hand: whether it keeps a label term there, this leaves to α);
the search for an architecture, its other half, is not part of this. As in `distill`, distributions
are averaged, not logits. Right is judged on the very view that the student sees, by the greatest
part of its label. Of a picture in which an unlabelled image has a part the truth is not known: the
mean of all teachers is imitated.

A study that this product goes back to could not make the method learn: at first all teachers ran
inside the training step, and memory did not suffice; rewritten, it stayed at 50 %. Here the
teachers run beforehand, one after another; what they answered is kept, and the choice among them
is made in the kept answers. A training step is then that of one teacher, and so is its memory: the
one number more per picture says whether a teacher has a part in it.

The study's code is not at hand, so why its rewritten version stayed at chance cannot be told for
certain. These are the causes that do it, found by deriving or by trying them:

* The mean over an empty set. Where no teacher is right, Σ u_k p_k / Σ u_k is 0/0. The one NaN
  makes the loss of its batch NaN, then every weight, and argmax of NaN is always class 0: with two
  balanced classes that is 50 %, forever. `test_oracle_distillation.py` shows it.
* The empty set kept from 0/0 by a small number in the denominator: the target is then all zero, and
  the picture teaches nothing. A uniform target in its place teaches the student to be unsure
  of just those pictures that are hard.
* One choice for a whole batch: teachers that are right on most of it, or only batches where
  one is right on all. The student then learns from wrong answers, or from few pictures.
* Accuracy among the terms: u_k of the student's own answer, or argmax anywhere in its loss, has
  gradient 0 everywhere, and nothing moves.
* Averages of logits: a teacher whose logits are large has the mean to itself, right or wrong.
  Or probabilities taken for logits: softened once more, little but the uniform distribution is
  left of them.
* A rate of learning that the step of one teacher bears, with the terms of several summed, not
  averaged: the dead ReLU of a small student that is not normalised answers all pictures alike.
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
"""The sum of labels, in float32, of a picture that no unlabelled image has a part in."""


def known(labels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return of which pictures `(images,)` the truth is known, from labels `(images, classes)`."""
    return labels.sum(axis=-1) > _WHOLE


def right(
    labels: NDArray[np.float32], probabilities: Sequence[NDArray[np.float32]]
) -> NDArray[np.bool_]:
    """Return `(teachers, images)`: who gives the class that has the greatest part in the label.

    Where the truth is not known, everyone does.
    """
    answers = np.stack([each.argmax(axis=-1) for each in probabilities])
    return (answers == labels.argmax(axis=-1)) | ~known(labels)


def oracle_targets(
    labels: NDArray[np.float32], probabilities: Sequence[NDArray[np.float32]], temperature: float
) -> NDArray[np.float32]:
    """Return `(images, 2 × classes + 1)`: labels, teachers' logits, 1 where a teacher teaches.

    The logits are those of the right teachers' mean; where none is right they do not matter, and
    are those of all.
    """
    chosen = right(labels, probabilities)
    taught = chosen.any(axis=0)
    mean = softened_mean(probabilities, chosen | ~taught, temperature)
    return pack_targets(labels, mean, taught[:, np.newaxis].astype(np.float32))


def oracle_loss(alpha: float, temperature: float) -> Loss:
    """Return the loss that the head of this module tells, on what `oracle_targets` made."""
    imitation = distillation_loss(alpha, temperature)

    def loss(targets: Any, logits: Any) -> Any:
        taught = targets[..., 2 * logits.shape[-1]]
        alone = label_loss(targets, logits)
        return taught * imitation(targets, logits) + (1 - taught) * alone

    return loss


def taught_by(
    labels: Sequence[NDArray[np.float32]], views: Sequence[NDArray[np.float32]]
) -> OracleTeaching:
    """Return which part of the pictures of known truth is taught by all teachers, some, or none.

    `labels` are `(images, classes)` of each view; `views`, `(views, images, classes)` of each
    teacher.
    """
    answers = np.stack(views, axis=1)
    counts = np.concatenate(
        [
            right(y, list(each)).sum(axis=0)[known(y)]
            for y, each in zip(labels, answers, strict=True)
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
