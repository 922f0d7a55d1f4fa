"""Trains a student together with its teacher: evolutionary knowledge distillation.

After Zhang, Zhang, Li, Zeng and Ge 2021 (IEEE TCSVT; arXiv 2103.13811), "Student network learning
via evolutionary knowledge distillation". A trained teacher is far ahead of a new student, so its
predictions are hard to imitate. Here the teacher also starts from random weights, so it is never
far ahead. It guides the student by its predictions and by *guided modules* between corresponding
blocks.

As in the paper, the teacher is trained from the labels, at the same time as the student. It
supervises the student's predictions, and also the student's features: through small modules, one on
the student's and one on the teacher's side of each pair of blocks. The paper's equations were not
at hand, so the equations below are ours.

Let y be the labels, z_T and z_S the logits, T the temperature, and p = softmax(z/T) the softened
predictions. Each of n pairs of blocks has a module with features e on either side: a 1x1
convolution to 64 channels, batch normalisation, ReLU, and the mean over positions. The teacher's
module also has logits m_T. The losses are

    teacher:  L_T = CE(y, z_T) + 1/n Σ CE(y, m_T)
    student:  L_S = α CE(y, z_S) + (1 - α) T² KL(p_T ‖ p_S) + γ/n Σ mean((e_S - e_T)²)

In L_S the teacher's z_T and e_T are constants. So the teacher and its modules learn from the labels
as if there were no student, and minimising L_T + L_S minimises each of the two. The blocks are the
stages of `pupila_distill.stages`, paired from the deepest.

Targets are labels and a last column: 1 for a training image, 0 for a validation image. For a
validation image the loss is CE(y, z_S) alone. So the kept epoch is the best epoch of the student,
and its validation loss can be compared with that of `train`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, PupilaError, Step, StepResult
from pupila.keras_files import import_keras
from pupila.measured import Measured
from pupila.training.batches import Images, all_in_order
from pupila.training.loss import Loss, distillation_loss, label_loss
from pupila.training.student import build_student
from pupila.training.targets import labels_of, labels_of_views, pack_targets
from pupila.views import AS_IS
from pupila_distill.config import EvolutionaryDistillation
from pupila_distill.new_student import input_of, new_student
from pupila_distill.stages import with_stages
from pupila_distill.training import TrainingTargets, splits, train_student

keras = import_keras()
layers, ops = keras.layers, keras.ops

_WIDTH = 64
"""Channels of a guided module: fewer than most blocks have, and more than the number of classes."""

_MOMENTUM = 0.9
"""Momentum of batch normalisation, as in the students."""


def distill_evolutionary(step: Step[EvolutionaryDistillation]) -> StepResult:
    """Train a student together with a larger teacher, both from random weights.

    Raises:
        PupilaError: the student or the teacher has no block that can be paired, or the loss is no
            longer finite.
    """
    config, (images, validation) = step.config, splits(step)
    classes = len(images.classes)
    size = input_of(new_student(step))
    keras.utils.set_random_seed(step.seed)
    teacher = build_student(config.evolving, size, classes)
    targets = TrainingTargets(
        images=images,
        views=[
            _mark(labels, learned=True) for labels in labels_of_views(images, config.augmentation)
        ],
        validation=_mark(labels_of(validation), learned=False),
        loss=evolutionary_loss(classes, config.alpha, config.temperature, config.guidance),
        measured=Measured({"teacher_architecture": config.teacher}),
        wrap=partial(joint_model, teacher=teacher, classes=classes),
    )
    result = train_student(step, targets)
    accuracy = {"teacher_validation_accuracy": _accuracy(teacher, validation, config)}
    return replace(result, measured=Measured(result.measured, accuracy))


def evolutionary_loss(classes: int, alpha: float, temperature: float, guidance: float) -> Loss:
    """Return the loss L_T + L_S of the module docstring, for the outputs of `joint_model`.

    `guidance` is γ.
    """
    answers = distillation_loss(alpha, temperature)

    def loss(targets: Any, outputs: Any) -> Any:
        labels, learned = targets[..., :classes], targets[..., classes]
        student, teacher, *modules = _split(outputs, classes)
        constant = ops.stop_gradient(teacher)
        of_student = answers(ops.concatenate([labels, constant], axis=-1), student)
        followed = of_student + guidance * _mean([_unlike(*module[1:]) for module in modules])
        of_teacher = label_loss(labels, teacher) + _mean(
            [label_loss(labels, logits) for logits, *_ in modules]
        )
        return ops.where(learned > 0, of_teacher + followed, label_loss(labels, student))

    return loss


def joint_model(student: Any, teacher: Any, classes: int) -> Any:
    """Return one model that runs student, teacher and guided modules on the same image.

    The output of the model is `(batch, columns)`. The first columns are the student's logits and
    the teacher's logits. Then each pair of blocks has columns for the logits of the teacher's
    module, the features of the teacher's module, and the features of the student's module.

    Raises:
        PupilaError: the student or the teacher has no block that can be paired.
    """
    image = keras.Input(student.input_shape[1:], name="image")
    answer, *blocks = _run(student, image)
    teachers_answer, *teachers_blocks = _run(teacher, image)
    pairs = min(len(blocks), len(teachers_blocks))
    columns = [answer, teachers_answer]
    for number in range(-pairs, 0):
        features = _guided(teachers_blocks[number], f"teacher_{-number}")
        logits = layers.Dense(classes, name=f"teacher_{-number}_logits")(features)
        columns += [logits, features, _guided(blocks[number], f"student_{-number}")]
    return keras.Model(image, ops.concatenate(columns, axis=-1))


def _run(model: Any, image: Any) -> list[Any]:
    staged = with_stages(model)
    if len(staged.outputs) == 1:
        raise PupilaError(
            f"{model.name!r} has no feature map of more than one position at "
            f"{image.shape[1]} x {image.shape[2]} px, so it has no block to be paired. Raise "
            f"`size`, or choose another architecture."
        )
    return staged(image)


def _guided(features: Any, name: str) -> Any:
    """Build a guided module on a block's last feature map; return its features `(batch, 64)`."""
    x = layers.Conv2D(_WIDTH, 1, use_bias=False, name=f"{name}_narrow")(features)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    x = layers.Activation("relu", name=f"{name}_relu")(x)
    return layers.GlobalAveragePooling2D(name=f"{name}_pool")(x)


def _split(outputs: Any, classes: int) -> list[Any]:
    """Split the output of `joint_model` into `[student, teacher, *modules]`.

    An element of `modules` has the logits and features of the teacher's module, and the features of
    the student's module.
    """
    module = classes + 2 * _WIDTH
    starts = range(2 * classes, outputs.shape[-1], module)
    within = [classes, classes + _WIDTH]
    modules = [ops.split(outputs[..., start : start + module], within, axis=-1) for start in starts]
    return [outputs[..., :classes], outputs[..., classes : 2 * classes], *modules]


def _unlike(teacher: Any, student: Any) -> Any:
    return ops.mean(ops.square(student - ops.stop_gradient(teacher)), axis=-1)


def _mean(terms: Sequence[Any]) -> Any:
    return sum(terms) / len(terms)


def _mark(labels: NDArray[np.float32], *, learned: bool) -> NDArray[np.float32]:
    """Add the last column of the targets to labels `(images, classes)`: 1 if `learned`, else 0."""
    return pack_targets(labels, np.full((len(labels), 1), learned, np.float32))


def _accuracy(teacher: Any, validation: Dataset, config: EvolutionaryDistillation) -> float:
    """Return the accuracy of the teacher on the validation images."""
    images = Images.of(validation, input_of(teacher), [labels_of(validation)], AS_IS)
    teacher.compile(jit_compile=False)
    answers = teacher.predict(all_in_order(images, config.batch_size), verbose=0)
    return float((answers.argmax(axis=-1) == validation.labels).mean())
