"""How models learn `regression`: standardised numbers, squared errors, and one linear output.

With the mean m and the standard deviation s of the training labels, a number y becomes
z = (y - m) / s, so that the scale of the labels does not matter. A student ends in one linear
output, which s and m turn into a number in the units of the labels: the model that is saved needs
nothing else. Its loss on an image with the label z_l and the teachers' answer z_t is

    α · w · (z - z_l)² + (1 - α · w) · (z - z_t)²

with α = `alpha` and the weight w: 1, or 0 without a label. `temperature` has no effect: a number
cannot be softened.

Targets have the columns z_l, w and z_t.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from image_regression import NUMBER, REGRESSION
from image_regression.figures import r_squared
from image_regression.labels import Floats, numbers_of
from image_regression.task import TOLERATED, Regression
from pupila import Dataset, OutputSpec, PupilaError, Step
from pupila.digest import short_digest
from pupila.intervals import share
from pupila.keras_files import import_keras
from pupila.measured import Interval, Measured, TeacherQualities, TeacherQuality
from pupila.training.loss import Loss
from pupila.training.task import TaskTraining, TeacherTargets
from pupila.training.teacher import describe_teacher
from pupila.views import AS_IS, Augmentation

keras = import_keras()
layers, ops = keras.layers, keras.ops

_MOMENTUM = 0.9
_LEAST_SPREAD = 1e-4
"""Smallest standard deviation of the training labels, as a fraction of their mean: of numbers that
differ less, 32 bits keep too few digits."""

_Columns = NDArray[np.float32]


class RegressionTraining(TaskTraining):
    """The student gives the number; see the module for targets and losses.

    Views of an image keep its number. If the number is a size or a brightness, choose settings of
    `augmentation` that leave it as it is.
    """

    def __init__(self, classes: Sequence[str], mean: float = 0.0, deviation: float = 1.0) -> None:
        """`mean` and `deviation` are those of the training labels."""
        super().__init__(classes)
        self._mean, self._deviation = mean, deviation
        self._task = Regression()

    @classmethod
    def of(cls, images: Dataset) -> Self:
        """Return how these images are learned; all labels count if none is a training image.

        Raises:
            PupilaError: the labels do not differ.
        """
        training = images.select("train") if "train" in images.splits else images
        numbers = numbers_of(training)
        numbers = numbers[np.isfinite(numbers)]
        mean, deviation = float(numbers.mean()), float(numbers.std())
        if not deviation > _LEAST_SPREAD * abs(mean):
            raise PupilaError(
                f"The labels of the {len(numbers)} training images go from {numbers.min():g} to "
                f"{numbers.max():g}: they must differ, and by more than {_LEAST_SPREAD:g} of their "
                f"mean. Add other images, or subtract a constant from all labels."
            )
        return cls(images.classes, mean, deviation)

    @property
    def label_columns(self) -> int:
        return 2

    def labels(self, images: Dataset) -> _Columns:
        standard = self._standardise(numbers_of(images))
        weights = np.isfinite(standard)
        return np.stack([np.where(weights, standard, 0), weights], axis=1).astype(np.float32)

    def labels_of_views(self, images: Dataset, augmentation: Augmentation) -> list[_Columns]:
        """Return the label columns of each view, mixed like its pictures.

        Zhang et al. 2018, "mixup", equation 1. A mixture with an unlabelled image has no label.
        """
        labels, sha256 = self.labels(images), images.frame["sha256"].tolist()
        mixtures = (augmentation.mixture(sha256, view) for view in range(augmentation.views))
        return [_mixed(labels, partners, parts) for partners, parts in mixtures]

    def teach(
        self,
        step: Step[Any],
        images: Dataset,
        validation: Dataset,
        *,
        weights: Sequence[float],
        temperature: float,
        mean_over_views: bool = False,
    ) -> TeacherTargets:
        """Return the teachers' mean answers.

        Raises:
            PupilaError: a teacher is no better than a constant answer.
        """
        qualities = [self._check(step, number, validation) for number in range(len(step.inputs))]
        views = self._taught(step, images, step.config.augmentation, weights)
        if mean_over_views:
            views = np.broadcast_to(views.mean(axis=0), views.shape)
        return TeacherTargets(
            views=list(views),
            validation=self._taught(step, validation, AS_IS, weights)[0],
            measured=Measured(TeacherQualities(teachers=tuple(qualities))),
        )

    def _taught(
        self, step: Step[Any], images: Dataset, views: Augmentation, weights: Sequence[float]
    ) -> _Columns:
        """Return the weighted mean of the teachers' answers to each view, `(views, images, 1)`."""
        answers = [
            step.predictions.of_views(teacher, images, views, step.progress)
            for teacher in step.inputs
        ]
        mean = np.average(answers, axis=0, weights=weights)
        return self._standardise(mean).astype(np.float32)

    def _check(self, step: Step[Any], number: int, validation: Dataset) -> TeacherQuality:
        """Make sure that a teacher is better than a constant, and return its quality."""
        teacher, truths = step.inputs[number], self._task.truths(validation)
        answers = step.predictions.of(teacher, validation, step.progress)
        errors = np.asarray(answers[:, 0], np.float64) - truths[:, 0]
        explained = float(r_squared(errors, truths[:, 0], np.ones((1, len(errors))))[0])
        if not (explained > 0 or step.unproven):
            raise PupilaError(
                f"{describe_teacher(step, number)} is no better than a constant answer on "
                f"{len(errors)} validation images (R² {explained:.2f}): give another teacher, or "
                f"labels in its units, or set `unproven: true` for the teacher that the recipe "
                f"begins with."
            )
        right = self._task.right(answers, truths, validation.classes)
        return TeacherQuality(
            digest=short_digest(teacher.digest),
            validation_accuracy=Interval.of(share(right, validation.patients)),
        )

    def label_loss(self) -> Loss:
        """Return the squared error of the standardised number; 0 for an unlabelled image."""

        def loss(targets: Any, outputs: Any) -> Any:
            return targets[..., 1] * ops.square(self._of_student(outputs) - targets[..., 0])

        return loss

    def distillation_loss(
        self, teachers: Sequence[OutputSpec], alpha: float, temperature: float
    ) -> Loss:
        """Return the loss of the module's docstring."""
        label_loss = self.label_loss()

        def loss(targets: Any, outputs: Any) -> Any:
            taught = ops.square(self._of_student(outputs) - targets[..., 2])
            return alpha * label_loss(targets, outputs) + (1 - alpha * targets[..., 1]) * taught

        return loss

    def right(self) -> Loss:
        """Return a metric that is 1 within half a standard deviation of the training labels.

        Without a label, the teachers' answer takes its place; without teachers, it is 1.
        """

        def right(targets: Any, outputs: Any) -> Any:
            number = self._of_student(outputs)
            taught = targets[..., 2] if targets.shape[-1] > 2 else number
            wanted = ops.where(targets[..., 1] > 0, targets[..., 0], taught)
            return ops.cast(ops.abs(number - wanted) <= TOLERATED, "float32")

        return right

    def head(self, features: Any, width: int, names: Any) -> Any:
        """Return the number: a 1x1 convolution of `width` (0: none), the mean over positions, and a
        dense layer, whose output is standardised.
        """
        x = features
        if width:
            x = layers.Conv2D(width, 1, use_bias=False, name=names("head"))(x)
            x = layers.BatchNormalization(momentum=_MOMENTUM, name=names("head_norm"))(x)
            x = layers.Activation("relu6", name=names("head_relu6"))(x)
        x = layers.GlobalAveragePooling2D(name=names("head_pool"))(x)
        x = layers.Dense(1, dtype="float32", name=names("standardised"))(x)
        units = layers.Rescaling(self._deviation, self._mean, dtype="float32", name=names(NUMBER))
        return units(x)

    def head_kernels(self, channels: int, width: int) -> list[tuple[int, int]]:
        return [(channels * width, width), (width, 1)] if width else [(channels, 1)]

    def head_layers(self, width: int) -> int:
        return 3 if width else 1

    def finish(self, student: Any) -> tuple[Any, OutputSpec]:
        """Return the student as it is: it gives numbers in the units of the labels."""
        return student, self.output_in_training(student)

    def output_in_training(self, student: Any) -> OutputSpec:
        return OutputSpec(task=REGRESSION, kind=NUMBER, classes=self.classes)

    def _standardise(self, numbers: Any) -> Floats:
        return (np.asarray(numbers, np.float64) - self._mean) / self._deviation

    def _of_student(self, outputs: Any) -> Any:
        """Return the standardised numbers `(batch,)` of outputs `(batch, 1)`."""
        return (outputs[..., 0] - self._mean) / self._deviation


def _mixed(labels: _Columns, partners: NDArray[np.int64], parts: _Columns) -> _Columns:
    own = parts[:, np.newaxis]
    mixed = own * labels + (1 - own) * labels[partners]
    mixed[:, 1] = labels[:, 1] * labels[partners, 1]
    return mixed
