"""Learns from a teacher's features, which say more about an image than the teacher's logits.

With two classes, a teacher's prediction is one number. The teacher's features, the input of its
last layer, are hundreds of numbers. This technique learns from the features in two ways. Each way
has a weight, and works with teachers and students of any architecture and width:

* subclasses (`pupila_distill.subclasses`, LELP): in addition to the class, the student predicts a
  subclass of each class;
* relations (`pupila_distill.relations`, RKD): distances and angles between the images of a batch
  should be the same in the features of student and teacher.

The loss per image, over teachers k with weights w_k, is

    L_distill + (1 - α · Σy) · T² · λ · Σ_k v_k Σ_c p̄_c KL(p_k(s | c) ‖ softmax_s(a_kc / T))
              + Σ_k v_k (λ_D · L_distance,k + λ_A · L_angle,k),            v_k = w_k / Σ w_k

L_distill, the labels y (Σy is 0 for an unlabelled image), their weight α, the softened predictions
p̄ and the temperature T are those of `distill`. λ, λ_D and λ_A are the settings `subclass_weight`,
`distance_weight` and `angle_weight`. p_k(s | c) are the teacher's subclasses s of class c. a_kc are
S logits of a second dense layer on the student's features.

Let p(c, s) = p(c) · p(s | c) for both student and teacher. The KL divergence of p(c, s) is the KL
divergence of the classes plus the second term with λ = 1. This equals the single cross-entropy of
LELP over C × S subclasses (section 3.3). In LELP one dense layer has C × S logits, and the
probability of a class is the sum over its subclasses. Here the classes have their own softmax,
Σ_s p(c) · p(s | c) = p(c), so the second layer is not part of the written model. (A sum after the
softmax would leave an int8 model only eight bits of the logits.)

The epoch with the lowest loss of `distill` on the validation images is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, Dataset, Step, StepResult
from pupila.arrays import Rows
from pupila.keras_files import import_keras, load
from pupila.measured import Measured
from pupila.training.loss import Loss
from pupila.training.targets import JoinedTargets, Targets
from pupila.views import AS_IS, Augmentation
from pupila_distill.config import EmbeddingDistillation
from pupila_distill.penultimate import penultimate
from pupila_distill.relations import angle_loss, distance_loss
from pupila_distill.sources import weigh_sources
from pupila_distill.subclasses import Subclasses, SubclassTargets, fit_subclasses
from pupila_distill.techniques import teacher_targets
from pupila_distill.training import TrainingTargets, train_student

keras = import_keras()
ops = keras.ops

_BATCH_IMAGES = 16


def distill_embedding(step: Step[EmbeddingDistillation]) -> StepResult:
    """Train a student on labels, on teachers' predictions, and on teachers' features.

    Raises:
        PupilaError: as in `distill`; or the features of a teacher or of the student cannot be
            found; or a class cannot be split into as many subclasses as `subclasses` says.
    """
    targets = teacher_targets(step)
    config = step.config
    if config.subclass_weight or config.distance_weight or config.angle_weight:
        targets = _add_features(step, targets)
    return train_student(step, weigh_sources(targets, config.source_weights))


def embedding_loss(
    answers: Loss,
    config: EmbeddingDistillation,
    classes: int,
    features: Sequence[int],
    weights: Sequence[float],
) -> Loss:
    """Return the loss of the module docstring, a function of targets and outputs.

    The columns of targets are labels, the teachers' logits, each teacher's subclasses (if
    subclasses have a weight), and each teacher's features (if relations have a weight). The columns
    of outputs are the student's logits, subclass logits and features. `answers` is the loss of
    `distill`. `features` has the number of features of each teacher, and `weights` has the weight
    of each teacher. If targets are labels and logits only, as in validation, the loss is `answers`
    alone.
    """
    shares = [weight / sum(weights) for weight in weights]
    columns = _subclass_columns(config, classes, len(shares))
    ends = np.cumsum([2 * classes + columns, *features]).tolist()

    def loss(targets: Any, outputs: Any) -> Any:
        total = answers(targets, outputs[..., :classes])
        if targets.shape[-1] == 2 * classes:
            return total
        if columns:
            total += config.subclass_weight * subclass_loss(
                config, targets[..., : ends[0]], outputs[..., : classes + columns], shares
            )
        if _relates(config):
            student = outputs[..., classes + columns :]
            for share, (start, end) in zip(shares, pairwise(ends), strict=True):
                total += share * _relations(config, targets[..., start:end], student)
        return total

    return loss


def subclass_loss(
    config: EmbeddingDistillation, targets: Any, outputs: Any, shares: Sequence[float]
) -> Any:
    """Return the subclass term of the loss for each image, `(batch,)`.

    This is the second term of the equation in the module docstring, without its factor λ. The
    columns of `targets` are labels, the teachers' logits and the teachers' subclasses. The columns
    of `outputs` are the student's logits and subclass logits. `shares` are the v_k.
    """
    temperature = config.temperature
    classes = targets.shape[-1] - outputs.shape[-1]
    labels, logits = targets[..., :classes], targets[..., classes : 2 * classes]
    shape = (-1, len(shares), classes, config.subclasses)
    given = ops.reshape(targets[..., 2 * classes :], shape)
    log_q = ops.log_softmax(ops.reshape(outputs[..., classes:], shape) / temperature)
    log_p = ops.log(ops.maximum(given, keras.config.epsilon()))
    of_class = ops.softmax(logits / temperature)[..., None, :]
    of_teacher = ops.sum(of_class * ops.sum(given * (log_p - log_q), axis=-1), axis=-1)
    weight = (1 - config.alpha * ops.sum(labels, axis=-1)) * temperature**2
    return weight * ops.sum(of_teacher * ops.convert_to_tensor(shares, of_teacher.dtype), axis=-1)


def _relations(config: EmbeddingDistillation, teacher: Any, student: Any) -> Any:
    total = 0.0
    if config.distance_weight:
        total += config.distance_weight * distance_loss(teacher, student)
    if config.angle_weight:
        total += config.angle_weight * angle_loss(teacher, student)
    return total


def _relates(config: EmbeddingDistillation) -> bool:
    return bool(config.distance_weight or config.angle_weight)


def _subclass_columns(config: EmbeddingDistillation, classes: int, teachers: int) -> int:
    return teachers * classes * config.subclasses if config.subclass_weight else 0


def with_features(student: Any, subclass_columns: int, relates: bool) -> Any:
    """Return a model that outputs a student's logits, subclass logits and features, side by side.

    `subclass_columns` is the number of subclass logits, and may be 0. If `relates` is false, the
    model outputs no features.
    """
    last = penultimate(student)
    columns = [last.output]
    if subclass_columns:
        columns.append(keras.layers.Dense(subclass_columns, name="subclasses")(last.read))
    if relates:
        columns.append(last.features)
    return keras.Model(
        last.image, ops.concatenate(columns, axis=-1) if columns[1:] else last.output
    )


@dataclass(frozen=True)
class _TeacherFeatures:
    """Features of the training images from one teacher."""

    views: list[Rows]
    """Features `(images, features)` of each augmented view."""
    subclasses: Subclasses | None


def _add_features(step: Step[EmbeddingDistillation], targets: TrainingTargets) -> TrainingTargets:
    """Add subclasses and features of the teachers to the targets of `distill`."""
    config, classes = step.config, len(targets.images.classes)
    teachers = [_features_of(step, teacher, targets.images) for teacher in step.inputs]
    relates = _relates(config)

    def extend(of_view: Targets, view: int) -> Targets:
        subclasses = [
            SubclassTargets(teacher.views[view], teacher.subclasses)
            for teacher in teachers
            if teacher.subclasses
        ]
        features = [teacher.views[view] for teacher in teachers] if relates else []
        return JoinedTargets(of_view, *subclasses, *features)

    counts = [teacher.views[0].shape[1] for teacher in teachers]
    explained = [teacher.subclasses.explained for teacher in teachers if teacher.subclasses]
    return replace(
        targets,
        views=[extend(of_view, view) for view, of_view in enumerate(targets.views)],
        loss=embedding_loss(
            targets.loss,
            config,
            classes,
            counts if relates else (),
            config.weights or (1.0,) * len(teachers),
        ),
        measured=Measured(
            targets.measured, {"teacher_features": counts, "subclass_variance": explained}
        ),
        wrap=partial(
            with_features,
            subclass_columns=_subclass_columns(config, classes, len(teachers)),
            relates=relates,
        ),
    )


def _features_of(
    step: Step[EmbeddingDistillation], teacher: Artifact, images: Dataset
) -> _TeacherFeatures:
    config = step.config
    last = penultimate(load(teacher))

    def features(augmentation: Augmentation) -> list[Rows]:
        return step.predictions.compute(
            teacher,
            images,
            augmentation,
            step.progress,
            "features before the last layer",
            "pupila-distill",
            partial(_open, keras.Model(last.image, last.features)),
        )

    views = features(config.augmentation)
    if not config.subclass_weight:
        return _TeacherFeatures(views, None)
    subclasses = fit_subclasses(
        features(AS_IS)[0],
        images.labels,
        images.classes,
        last.kernel,
        config.subclasses,
        config.subclass_temperature,
        step.seed,
    )
    return _TeacherFeatures(views, subclasses)


@contextmanager
def _open(model: Any) -> Generator[Callable[[NDArray[np.uint8]], NDArray[np.float32]]]:
    model.compile(jit_compile=False)
    yield partial(model.predict, batch_size=_BATCH_IMAGES, verbose=0)
