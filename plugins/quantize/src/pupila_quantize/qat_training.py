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
from pupila.training.loss import Loss
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
        loss: Loss,
        right: Loss,
        columns: int,
        schedule: Schedule,
        steps: int,
    ) -> None:
        """Prepare training with `steps` training steps per epoch.

        `output` is the output of `model`. `loss` and `right` take targets of so many columns, and
        outputs as `output.in_training` says.
        """
        self.variables = list(model.variables)
        self.trainable_variables = list(model.trainable_variables)
        self.optimizer = _optimizer(schedule, steps)
        self.optimizer.build(self.trainable_variables)
        self._answer, self._activation = before_activation(model, output), output.activation
        self._loss, self._correct = loss, right
        picture = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)
        target = tf.TensorSpec((None, columns), tf.float32)
        self._learn = tf.function(self._training_step, input_signature=[picture, target])
        self._evaluate = tf.function(self._validation_step, input_signature=[picture, target])
        self._predict = tf.function(
            partial(self._outputs, training=False), input_signature=[picture]
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
        """Return the outputs in training `(images, values)` of images of the model's size."""
        starts = range(0, len(pictures), self._batch_size)
        batches = (pictures[start : start + self._batch_size] for start in starts)
        outputs = (self._predict(batch.astype(np.float32)).numpy() for batch in batches)
        return np.concatenate([of_batch.reshape(len(of_batch), -1) for of_batch in outputs])

    def _training_step(self, pictures: Any, targets: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            outputs = self._outputs(pictures, training=True)
            losses = self._loss(targets, outputs)
            mean = tf.reduce_mean(losses)
        gradients = tape.gradient(mean, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return losses, self._correct(targets, outputs)

    def _validation_step(self, pictures: Any, targets: Any) -> tuple[Any, Any]:
        outputs = self._outputs(pictures, training=False)
        return self._loss(targets, outputs), self._correct(targets, outputs)

    def _outputs(self, pictures: Any, training: bool) -> Any:
        """Return outputs in training: of a classifier, logits `(batch, classes)`."""
        model, stripped = self._answer
        outputs = model(pictures, training=training)
        if self._activation == "sigmoid":
            logit = outputs if stripped else _log(outputs) - _log(1 - outputs)
            return tf.concat([tf.zeros_like(logit), logit], axis=-1)
        if self._activation == "softmax" and not stripped:
            return _log(outputs)
        return outputs


def _optimizer(schedule: Schedule, steps: int) -> Any:
    """Return Adam without weight decay: weights should stay near their initial values."""
    rate = tf_keras.optimizers.schedules.CosineDecay(**LearningRate.of(schedule, steps).of_keras())
    return tf_keras.optimizers.Adam(rate, clipnorm=LARGEST_GRADIENT, jit_compile=False)


def before_activation(model: Any, output: OutputSpec) -> tuple[Any, bool]:
    """Return the model without its final softmax or sigmoid, and whether it had one.

    Only a classifier whose `output` is probabilities is changed.
    """
    if not output.activation:
        return model, False
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
