"""Learns from a teacher's predictions and from where the teacher looks: attention transfer.

Zagoruyko and Komodakis 2017 (ICLR; arXiv 1612.03928), the activation-based variant of
"Paying more attention to attention". The attention of a feature map A `(height, width, channels)`
is, at each position,

    F(A) = Σ_c |A_c|²

With Q = vec(F(A)) of student S and teacher T at each pair j of stages, the loss per image is

    L_KD + β · Σ_j mean((Q_S / ‖Q_S‖₂ - Q_T / ‖Q_T‖₂)²)

L_KD is the loss of `distill`, on labels and the teacher's predictions.

The paper's equation 2 has β/2 times the norm of the difference. The authors' code,
`szagoruyko/attention-transfer`, has the mean of squares with β = 1000. The mean of squares is used
here too: the paper's results were made with it. Also, a square has a gradient where two maps are
equal, but a norm has none there. The paper's maps are larger (32, 16 and 8 positions a side), and
the paper's β falls during training. Here β is constant and 100 by default. With β = 1000, on maps
of 16, 8 and 4 positions a side, attention was 94 % of the validation loss, so the predictions had
little weight (ACRIMA, `mobile-xs` of EfficientNet-Lite0, one seed).

The epoch with the lowest L_KD on the validation images is kept, so its validation loss can be
compared with that of `distill`.

Stages (see `pupila_distill.stages`) are paired from the deepest: at most three pairs, as many as
the paper's nets have. Further stages of the teacher or of the student are not used. The teacher's
attention is resized to the student's size, bilinear with antialiasing.

The teacher runs once per augmented view, at its own input size, and its attention is kept on disk,
like its predictions. The hints of FitNets (Romero et al. 2015) would be too large to keep on disk:
hints have hundreds of channels at each position, while the attention of three maps at the size of a
student of 128 px has 336 numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, Dataset, PupilaError, Step, StepResult
from pupila.arrays import Rows
from pupila.keras_files import import_keras, load
from pupila.measured import Measured
from pupila.training.loss import Loss, distillation_loss
from pupila.training.targets import (
    JoinedTargets,
    labels_of,
    labels_of_views,
    pack_targets,
    softened_mean,
)
from pupila.training.teacher import check_teacher, predict_teachers
from pupila_distill.config import AttentionDistillation
from pupila_distill.new_student import input_of, new_student
from pupila_distill.sources import weigh_sources
from pupila_distill.stages import Size, size_of, with_stages
from pupila_distill.training import TrainingTargets, splits, train_student, training_images

keras = import_keras()
ops = keras.ops

_MOST_PAIRS = 3
_BATCH_IMAGES = 16


def distill_attention(step: Step[AttentionDistillation]) -> StepResult:
    """Train a student on labels, on a teacher's predictions, and on the teacher's attention.

    Raises:
        PupilaError: the teacher or the student has no feature map of more than one position, the
            teacher is not better than chance, or the loss is no longer finite.
    """
    config = step.config
    images, (_, validation) = training_images(step), splits(step)
    _check(step, validation)
    sizes = _student_sizes(step)
    maps = _teacher_maps(step, images, sizes)
    sizes = _deepest(sizes, maps[0].shape[1])
    answers = predict_teachers(step, images, validation)
    (on_validation,), (views,) = answers.validation, answers.views

    def mean(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        return softened_mean([probabilities], [1.0], config.temperature)

    targets = TrainingTargets(
        images=images,
        views=[
            JoinedTargets(labels, mean(view), attention)
            for labels, view, attention in zip(
                labels_of_views(images, config.augmentation), views, maps, strict=True
            )
        ],
        validation=pack_targets(labels_of(validation), mean(on_validation)),
        loss=attention_loss(
            distillation_loss(config.alpha, config.temperature),
            config.beta,
            len(validation.classes),
            sizes,
        ),
        measured=Measured(answers.measured, {"attention_maps": [list(size) for size in sizes]}),
        wrap=partial(with_attention, stages=len(sizes)),
    )
    return train_student(step, weigh_sources(targets, config.source_weights))


def _check(step: Step[AttentionDistillation], validation: Dataset) -> None:
    """Check that the teacher is better than chance, before its attention is computed."""
    (teacher,) = step.inputs
    answers = step.predictions.of(teacher, validation, step.progress)
    check_teacher(step, 0, validation, answers)


def attention_loss(answers: Loss, beta: float, classes: int, sizes: Sequence[Size]) -> Loss:
    """Return the loss of the module docstring, a function of targets and outputs.

    The columns of targets are labels, the teacher's logits, and the teacher's attention. The
    columns of outputs are the student's logits and the student's attention. `answers` is L_KD, the
    loss on labels and logits. `sizes` are the rows and columns of each attention map. If targets
    have no attention, as in validation, the loss is L_KD alone.
    """

    def loss(targets: Any, outputs: Any) -> Any:
        logits, student = outputs[..., :classes], outputs[..., classes:]
        teacher = targets[..., 2 * classes :]
        answered = answers(targets, logits)
        return (
            answered + beta * distance(teacher, student, sizes) if teacher.shape[-1] else answered
        )

    return loss


def distance(teacher: Any, student: Any, sizes: Sequence[Size]) -> Any:
    """Return the mean squared difference of attention maps, summed over stages, `(batch,)`.

    `teacher` and `student` are `(batch, positions)`: all maps side by side. `sizes` are the sizes
    of the maps. Each map is normalised to length 1.
    """
    total, start = 0, 0
    for rows, columns in sizes:
        end = start + rows * columns
        apart = _unit(student[..., start:end]) - _unit(teacher[..., start:end])
        total, start = total + ops.mean(ops.square(apart), axis=-1), end
    return total


def _unit(maps: Any) -> Any:
    return ops.normalize(maps, axis=-1, order=2)


def attention_of(features: Any) -> Any:
    """Return the attention F of feature maps `(batch, height, width, channels)`.

    The result is `(batch, height, width, 1)`.
    """
    return ops.sum(ops.square(features), axis=-1, keepdims=True)


def with_attention(student: Any, stages: int) -> Any:
    """Return a model that outputs a student's logits and the attention of its deepest stages."""
    staged = with_stages(student)
    logits, *features = staged.outputs
    attention = [attention_of(feature_map) for feature_map in features[-stages:]]
    return keras.Model(staged.inputs[0], _side_by_side([logits, *attention]))


def _side_by_side(tensors: Sequence[Any]) -> Any:
    """Flatten tensors `(batch, …)` and join them side by side, `(batch, columns)`."""
    flat = [ops.reshape(tensor, (-1, prod(tensor.shape[1:]))) for tensor in tensors]
    return ops.concatenate(flat, axis=-1)


def _student_sizes(step: Step[AttentionDistillation]) -> list[Size]:
    """Return the sizes of the feature maps of the student's deepest stages, largest first."""
    student = new_student(step)
    sizes = [size_of(feature_map) for feature_map in with_stages(student).outputs[1:]]
    if not sizes:
        seen = input_of(student)
        raise PupilaError(
            f"The student {student.name!r} has no feature map of more than one position at "
            f"{seen.height} x {seen.width} px, so it has no attention to learn. "
            f"Raise `size`, or choose another `student`."
        )
    return sizes[-_MOST_PAIRS:]


def _teacher_maps(
    step: Step[AttentionDistillation], images: Dataset, sizes: Sequence[Size]
) -> list[Rows]:
    """Return the teacher's attention `(images, positions)` of each view, at the student's sizes."""
    (teacher,) = step.inputs
    shown = ", ".join(f"{rows} x {columns}" for rows, columns in sizes)
    return step.predictions.compute(
        teacher,
        images,
        step.config.augmentation,
        step.progress,
        f"attention, resized to {shown}",
        "pupila-distill",
        partial(open_attention, teacher, sizes),
    )


@contextmanager
def open_attention(
    teacher: Artifact, sizes: Sequence[Size]
) -> Generator[Callable[[NDArray[np.uint8]], NDArray[np.float32]]]:
    """Yield a function that computes a teacher's attention from images.

    Images are `(images, height, width, 3)`, and the attention is `(images, positions)`: the maps of
    the teacher's deepest stages, side by side. `sizes` are the rows and columns of the student's
    maps, to which the teacher's maps are resized. If the teacher has fewer stages than there are
    `sizes`, only the last of the `sizes` are used.

    Raises:
        PupilaError: the teacher has no feature map of more than one position.
    """
    read = load(teacher)
    staged = with_stages(read)
    features = staged.outputs[1:][-len(sizes) :]
    if not features:
        raise PupilaError(
            f"The teacher {read.name!r} has no feature map of more than one position, so it "
            f"has no attention. Use `distill`, which learns from its answers alone."
        )
    attention = [
        ops.image.resize(attention_of(feature_map), size, antialias=True)
        for feature_map, size in zip(features, sizes[-len(features) :], strict=True)
    ]
    model = keras.Model(staged.inputs[0], _side_by_side(attention))
    model.compile(jit_compile=False)
    yield partial(model.predict, batch_size=_BATCH_IMAGES, verbose=0)


def _deepest(sizes: Sequence[Size], positions: int) -> list[Size]:
    """Return as many of the last `sizes` as have `positions` positions in total."""
    (first,) = (
        number
        for number in range(len(sizes))
        if sum(rows * columns for rows, columns in sizes[number:]) == positions
    )
    return list(sizes[first:])
