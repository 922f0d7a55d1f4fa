"""The loss of Hinton, Vinyals and Dean 2015, "Distilling the knowledge in a neural network".

With labels y (one-hot), logits z of the student and t of the teacher, temperature T and weight α
of the labels, per image:

    α · CE(y, softmax(z)) + (1 - α) · T² · KL(softmax(t/T) ‖ softmax(z/T))

T² keeps the size of the gradient of the second term independent of T (section 2.1 of the paper).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.keras_files import import_keras

keras = import_keras()
ops = keras.ops

Loss = Callable[[Any, Any], Any]
"""Of targets `(batch, columns)` and logits `(batch, classes)`: one value per image."""

_LEAST_PROBABILITY = 1e-7
"""A softmax in float32 rounds to 0 what the teacher meant to be tiny, and an int8 one whatever is
under 1/512; log 0 would be infinite. Logits are therefore taken to be at most 16 apart."""


def one_hot(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Turn labels `(images,)` into targets `(images, classes)`."""
    return np.eye(classes, dtype=np.float32)[labels]


def packed(labels: NDArray[np.float32], probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put one-hot labels and the teacher's logits side by side: `(…, 2 × classes)`.

    The logits are log p: what is lost of them is a constant per image, which softmax ignores at
    any temperature. `labels` `(images, classes)` are repeated for each view in `probabilities`
    `(views, images, classes)`.
    """
    logits = np.log(np.clip(probabilities, _LEAST_PROBABILITY, 1))
    return np.concatenate([np.broadcast_to(labels, logits.shape), logits], axis=-1)


def label_loss(targets: Any, logits: Any) -> Any:
    """Return the cross-entropy with one-hot labels, per image `(batch,)`."""
    return ops.categorical_crossentropy(targets, logits, from_logits=True)


def distillation_loss(alpha: float, temperature: float) -> Loss:
    """Return the loss on targets that `packed` made."""

    def loss(targets: Any, logits: Any) -> Any:
        labels, teacher = ops.split(targets, 2, axis=-1)
        log_p = ops.log_softmax(teacher / temperature)
        log_q = ops.log_softmax(logits / temperature)
        divergence = ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)
        return alpha * label_loss(labels, logits) + (1 - alpha) * temperature**2 * divergence

    return loss


def accuracy(targets: Any, logits: Any) -> Any:
    """Return 1 where the most probable class is the label's, per image, whatever is packed."""
    labels = targets[..., : logits.shape[-1]]
    return ops.cast(ops.equal(ops.argmax(labels, -1), ops.argmax(logits, -1)), "float32")
