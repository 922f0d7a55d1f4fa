"""Trains a `tf_keras` model with fake quantisation, for `pupila.training.fitting.train`.

These models need a trainee of their own, because Keras 3's optimizers do not support `tf_keras`
variables.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import OutputSpec
from pupila.keras_files import import_tensorflow
from pupila.training.batches import Batches
from pupila.training.checkpoint import EpochMetrics
from pupila.training.fitting import AfterStep
from pupila.training.loss import Loss, accuracy
from pupila.training.schedule import LARGEST_GRADIENT, LearningRate, Schedule
from pupila_quantize.lowering import layers, tf_keras

tf = import_tensorflow()

_MIN_PROBABILITY = 1e-7
"""Lower limit of probabilities before their logarithm, for models that do not output logits."""


class Trainee:
    """A model in training, with the interface that `pupila.training.fitting.train` needs."""

    def __init__(
        self,
        model: Any,
        output: OutputSpec,
        columns: list[int],
        loss: Loss,
        schedule: Schedule,
        steps: int,
    ) -> None:
        """Prepare training with `steps` training steps per epoch.

        Column `columns[k]` of the model's output belongs to the class of label k.
        """
        self.variables = list(model.variables)
        self.trainable_variables = list(model.trainable_variables)
        self.optimizer = _optimizer(schedule, steps)
        self.optimizer.build(self.trainable_variables)
        self._answer, self._columns, self._output = before_activation(model), columns, output
        self._loss, self._correct = loss, accuracy(len(columns))
        picture = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)
        target = tf.TensorSpec((None, 2 * len(columns)), tf.float32)
        self._learn = tf.function(self._training_step, input_signature=[picture, target])
        self._evaluate = tf.function(self._validation_step, input_signature=[picture, target])
        self._predict = tf.function(
            partial(self._logits, training=False), input_signature=[picture]
        )
        self._batch_size = schedule.batch_size

    def learn(self, batches: Batches, after_step: AfterStep) -> EpochMetrics:
        """Train on each batch once; return the mean loss and accuracy over all images."""
        loss, correct = _mean(self._learn, batches, after_step)
        return {"loss": loss, "accuracy": correct}

    def evaluate(self, batches: Batches) -> EpochMetrics:
        """Return the mean loss and accuracy over all validation images."""
        loss, correct = _mean(self._evaluate, batches, lambda: None)
        return {"val_loss": loss, "val_accuracy": correct}

    def answer(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the logits `(images, classes)` of images `(images, height, width, 3)`.

        Columns are in the order of the labels.
        """
        starts = range(0, len(pictures), self._batch_size)
        batches = (pictures[start : start + self._batch_size] for start in starts)
        return np.concatenate(
            [self._predict(batch.astype(np.float32)).numpy() for batch in batches]
        )

    def _training_step(self, pictures: Any, targets: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            logits = self._logits(pictures, training=True)
            losses = self._loss(targets, logits)
            mean = tf.reduce_mean(losses)
        gradients = tape.gradient(mean, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return losses, self._correct(targets, logits)

    def _validation_step(self, pictures: Any, targets: Any) -> tuple[Any, Any]:
        logits = self._logits(pictures, training=False)
        return self._loss(targets, logits), self._correct(targets, logits)

    def _logits(self, pictures: Any, training: bool) -> Any:
        """Return logits `(batch, classes)`, columns in the order of the labels."""
        model, stripped = self._answer
        logits = model(pictures, training=training)
        if self._output.kind == "sigmoid":
            logits = logits if stripped else _log(logits) - _log(1 - logits)
            logits = tf.concat([tf.zeros_like(logits), logits], axis=-1)
        elif self._output.kind == "softmax" and not stripped:
            logits = _log(logits)
        return tf.gather(logits, self._columns, axis=-1)


def _optimizer(schedule: Schedule, steps: int) -> Any:
    """Return Adam without weight decay: weights should stay near their initial values."""
    rate = tf_keras.optimizers.schedules.CosineDecay(**LearningRate.of(schedule, steps).of_keras())
    return tf_keras.optimizers.Adam(rate, clipnorm=LARGEST_GRADIENT, jit_compile=False)


def before_activation(model: Any) -> tuple[Any, bool]:
    """Return the model without its final softmax or sigmoid, and whether it had one."""
    last = model.outputs[0].node.layer
    sigmoid = isinstance(last, layers.Activation) and last.activation.__name__ == "sigmoid"
    if isinstance(last, layers.Softmax) or sigmoid:
        return tf_keras.Model(model.inputs, last.input, name=model.name), True
    return model, False


def _log(probabilities: Any) -> Any:
    return tf.math.log(tf.clip_by_value(probabilities, _MIN_PROBABILITY, 1.0))


def _mean(step: Any, batches: Batches, after_step: AfterStep) -> tuple[float, float]:
    metrics: list[NDArray[np.float32]] = []
    for index in range(len(batches)):
        pictures, targets = batches[index]
        metrics.append(np.stack(step(pictures.astype(np.float32), targets)))
        after_step()
    loss, correct = np.concatenate(metrics, axis=-1).mean(axis=-1, dtype=np.float64)
    return float(loss), float(correct)
