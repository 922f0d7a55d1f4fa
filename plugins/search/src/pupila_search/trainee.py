"""Trains a candidate fast: one traced training step, and an optimizer for all weights at once.

A candidate is trained for seconds, so the time before its first training step counts. Keras' `fit`
traces a step twice, and its optimizer traces dozens of operations for each weight. Here AdamW works
on one vector of all weights, and the learning rate is an argument of the traced step. Together with
rendering augmented views only once, this cut a stage of one epoch from 28 s to 7 s of CPU time
(both on a busy machine).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.keras_files import import_tensorflow
from pupila.training.batches import Batches, Images
from pupila.training.checkpoint import EpochMetrics
from pupila.training.fitting import AfterStep
from pupila.training.loss import Loss, accuracy
from pupila.training.schedule import LARGEST_GRADIENT, WEIGHT_DECAY, LearningRate, Schedule

tf = import_tensorflow()

_FIRST_DECAY, _SECOND_DECAY, _SMALL = 0.9, 0.999, 1e-7


class AdamW:
    """AdamW on all weights as one vector.

    Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
    """

    def __init__(self, weights: list[Any]) -> None:
        self._sizes = [math.prod(weight.shape) for weight in weights]
        moments = [tf.Variable(tf.zeros(sum(self._sizes)), trainable=False) for _ in range(2)]
        self.variables = [*moments, tf.Variable(tf.zeros(()), trainable=False)]
        """Moving means of the gradients and of their squares, and the number of steps done."""

    def build(self, weights: list[Any]) -> None:
        """Do nothing, as the constructor has created all variables."""

    def apply(self, gradients: list[Any], weights: list[Any], rate: Any) -> None:
        """Update the weights by one training step with the learning rate `rate`."""
        mean, square, steps = self.variables
        clipped = [tf.clip_by_norm(gradient, LARGEST_GRADIENT) for gradient in gradients]
        given = tf.concat([tf.reshape(gradient, [-1]) for gradient in clipped], axis=0)
        count = steps.assign_add(1.0)
        first = mean.assign(_FIRST_DECAY * mean + (1 - _FIRST_DECAY) * given)
        second = square.assign(_SECOND_DECAY * square + (1 - _SECOND_DECAY) * given**2)
        first, second = first / (1 - _FIRST_DECAY**count), second / (1 - _SECOND_DECAY**count)
        moves = tf.split(rate * first / (tf.sqrt(second) + _SMALL), self._sizes)
        for weight, move in zip(weights, moves, strict=True):
            weight.assign_sub(tf.reshape(move, weight.shape) + rate * WEIGHT_DECAY * weight)


class Trainee:
    """A candidate's model, with the interface that `pupila.training.fitting.train` needs."""

    def __init__(
        self,
        model: Any,
        loss: Loss,
        images: Images,
        schedule: Schedule,
        steps: int,
        right: Loss | None = None,
    ) -> None:
        """`right` tells which images are answered right; by default, as a classifier does."""
        self.variables: list[Any] = model.variables
        self.trainable_variables: list[Any] = model.trainable_variables
        self.optimizer = AdamW(self.trainable_variables)
        self._model, self._loss, self._correct = model, loss, right or accuracy(images.classes)
        self._batch_size, self._rate = schedule.batch_size, LearningRate.of(schedule, steps)
        pictures = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
        targets = tf.TensorSpec((None, images.targets[0].shape[1]), tf.float32)
        rate = tf.TensorSpec((), tf.float32)
        self._learn = tf.function(
            self._learn_batch, input_signature=(pictures, targets, rate), autograph=False
        )
        self._evaluate = tf.function(
            self._evaluate_batch, input_signature=(pictures, targets), autograph=False
        )
        self._answer = tf.function(
            self._predict_batch, input_signature=(pictures,), autograph=False
        )

    def learn(self, batches: Batches, after_step: AfterStep) -> EpochMetrics:
        """Train on each batch once; return the mean loss and accuracy over all images."""
        done, learned = int(self.optimizer.variables[-1].numpy()), list[Any]()
        for number in range(len(batches)):
            rate = np.float32(self._rate.at(done + number))
            learned.append(self._learn(*_as_arrays(batches[number]), rate))
            after_step()
        loss, correct = np.concatenate(learned, axis=1).mean(axis=1)
        return {"loss": float(loss), "accuracy": float(correct)}

    def evaluate(self, batches: Batches) -> EpochMetrics:
        """Return the mean loss and accuracy over all validation images."""
        outputs = [self._evaluate(*_as_arrays(batches[number])) for number in range(len(batches))]
        loss, correct = np.concatenate(outputs, axis=1).mean(axis=1)
        return {"val_loss": float(loss), "val_accuracy": float(correct)}

    def answer(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the outputs `(images, values)` of images `(images, height, width, 3)`."""
        starts = range(0, len(pictures), self._batch_size)
        batches = (pictures[start : start + self._batch_size] for start in starts)
        outputs = (self._answer(batch).numpy() for batch in batches)
        return np.concatenate([of_batch.reshape(len(of_batch), -1) for of_batch in outputs])

    def wrong(self, validation: Batches) -> tuple[int, ...]:
        """Return the rows of the validation images that the model answers wrong."""
        outputs = [
            self._evaluate(*_as_arrays(validation[number])) for number in range(len(validation))
        ]
        _, correct = np.concatenate(outputs, axis=1)
        return tuple(np.flatnonzero(correct < 0.5).tolist())

    def _learn_batch(self, pictures: Any, targets: Any, rate: Any) -> Any:
        weights = [variable.value for variable in self.trainable_variables]
        with tf.GradientTape() as tape:
            answers = self._model(tf.cast(pictures, tf.float32), training=True)
            losses = self._loss(targets, answers)
            mean = tf.reduce_mean(losses)
        self.optimizer.apply(tape.gradient(mean, weights), weights, rate)
        return tf.stack([losses, self._correct(targets, answers)])

    def _predict_batch(self, pictures: Any) -> Any:
        return self._model(tf.cast(pictures, tf.float32), training=False)

    def _evaluate_batch(self, pictures: Any, targets: Any) -> Any:
        answers = self._predict_batch(pictures)
        return tf.stack([self._loss(targets, answers), self._correct(targets, answers)])


def _as_arrays(batch: tuple[Any, Any]) -> tuple[Any, Any]:
    pictures, targets = batch
    return np.asarray(pictures, np.uint8), np.asarray(targets, np.float32)
