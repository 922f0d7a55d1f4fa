"""How models learn `classification`: one-hot labels, softened answers, and a dense layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.dataset import Dataset
from pupila.keras_files import import_keras
from pupila.spec import OutputSpec
from pupila.step import Step
from pupila.training.loss import Loss, accuracy, distillation_loss, label_loss
from pupila.training.targets import labels_of, labels_of_views, softened_mean
from pupila.training.task import TaskTraining, TeacherTargets
from pupila.training.teacher import predict_teachers
from pupila.views import Augmentation

keras = import_keras()
layers = keras.layers

_MOMENTUM = 0.9


class ClassificationTraining(TaskTraining):
    """The student gives logits `(batch, classes)`; see `pupila.training.loss` for the losses."""

    keeps_last_layers = True

    @property
    def label_columns(self) -> int:
        return len(self.classes)

    def labels(self, images: Dataset) -> NDArray[np.float32]:
        return labels_of(images)

    def labels_of_views(
        self, images: Dataset, augmentation: Augmentation
    ) -> list[NDArray[np.float32]]:
        return labels_of_views(images, augmentation)

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
        """Return the logits of the teachers' softened mean, see `softened_mean`."""
        answers = predict_teachers(step, images, validation)

        def mean(probabilities: list[NDArray[np.float32]]) -> NDArray[np.float32]:
            return softened_mean(probabilities, weights, temperature)

        given = [_mean_of_views(views) if mean_over_views else views for views in answers.views]
        return TeacherTargets(
            views=[mean([views[number] for views in given]) for number in range(len(given[0]))],
            validation=mean(answers.validation),
            measured=answers.measured,
        )

    def label_loss(self) -> Loss:
        return label_loss

    def distillation_loss(
        self, teachers: Sequence[OutputSpec], alpha: float, temperature: float
    ) -> Loss:
        return distillation_loss(alpha, temperature)

    def right(self) -> Loss:
        return accuracy(len(self.classes))

    def head(self, features: Any, width: int, names: Any) -> Any:
        """Return logits: a 1x1 convolution of `width` (0: none), the mean over positions, dense."""
        x = features
        if width:
            x = layers.Conv2D(width, 1, use_bias=False, name=names("head"))(x)
            x = layers.BatchNormalization(momentum=_MOMENTUM, name=names("head_norm"))(x)
            x = layers.Activation("relu6", name=names("head_relu6"))(x)
        x = layers.GlobalAveragePooling2D(name=names("head_pool"))(x)
        return layers.Dense(len(self.classes), dtype="float32", name=names("logits"))(x)

    def head_kernels(self, channels: int, width: int) -> list[tuple[int, int]]:
        classes = len(self.classes)
        if not width:
            return [(channels * classes, classes)]
        return [(channels * width, width), (width * classes, classes)]

    def head_layers(self, width: int) -> int:
        return 3 if width else 1

    def finish(self, student: Any) -> tuple[Any, OutputSpec]:
        """Add a softmax."""
        probabilities = layers.Softmax(name="probabilities")(student.outputs[0])
        model = keras.Model(student.inputs[0], probabilities, name=student.name)
        return model, OutputSpec(kind="softmax", classes=self.classes)

    def output_in_training(self, student: Any) -> OutputSpec:
        return OutputSpec(kind="logits", classes=self.classes)


def _mean_of_views(views: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replace each view's predictions by the mean over all views, `(views, images, classes)`."""
    return np.broadcast_to(views.mean(axis=0), views.shape)
