"""Losses on labels and on teachers' predictions.

An image has labels y, logits z of the student and softened answers p̄ of the teachers. With the
temperature T and the weight α of the labels, the loss of the image is

    α · CE(y, softmax(z)) + (1 - α · Σy) · T² · KL(p̄ ‖ softmax(z/T))

If the image is labelled, Σy is 1 and the formula is that of Hinton, Vinyals and Dean 2015,
"Distilling the knowledge in a neural network", section 2. T² keeps the size of the gradient of the
second term independent of T. If the image has no label, Σy is 0 and the teachers have the whole
weight. If the image is mixed with an unlabelled image, Σy lies between 0 and 1; the same formula
holds, since both terms are linear in y.

Targets are made by `pupila.training.targets`: labels, the logits T · log p̄, and anything else that
a loss needs, side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pupila.keras_files import import_keras

keras = import_keras()
ops = keras.ops

Loss = Callable[[Any, Any], Any]
"""A function of targets and outputs, both `(batch, columns)`, that returns one value per image."""


def label_loss(targets: Any, logits: Any) -> Any:
    """Return the cross-entropy with the labels, per image `(batch,)`; 0 for an unlabelled image.

    The formula is written out, since the gradient of TensorFlow's own cross-entropy is wrong if the
    labels of an image do not sum to one.
    """
    labels = targets[..., : logits.shape[-1]]
    return -ops.sum(labels * ops.log_softmax(logits), axis=-1)


def distillation_loss(alpha: float, temperature: float) -> Loss:
    """Return the distillation loss of the module docstring, for logits `(batch, classes)`."""

    def loss(targets: Any, logits: Any) -> Any:
        classes = logits.shape[-1]
        labels, teacher = targets[..., :classes], targets[..., classes : 2 * classes]
        log_p = ops.log_softmax(teacher / temperature)
        log_q = ops.log_softmax(logits / temperature)
        divergence = ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)
        teacher_weight = 1 - alpha * ops.sum(labels, axis=-1)
        return alpha * label_loss(labels, logits) + teacher_weight * temperature**2 * divergence

    return loss


def accuracy(classes: int) -> Loss:
    """Return a metric that is 1 for each image whose most probable class is the true class, else 0.

    The first `classes` columns of the targets are labels; the first `classes` columns of the
    outputs are the student's logits. If an image has no label, its true class is the teacher's most
    probable class, by the logits in the next `classes` columns of the targets.
    """

    def correct(targets: Any, outputs: Any) -> Any:
        truth = targets[..., :classes]
        if targets.shape[-1] >= 2 * classes:
            unlabelled = ops.sum(truth, axis=-1, keepdims=True) == 0
            truth = ops.where(unlabelled, targets[..., classes : 2 * classes], truth)
        answers = outputs[..., :classes]
        return ops.cast(ops.equal(ops.argmax(truth, -1), ops.argmax(answers, -1)), "float32")

    return correct
