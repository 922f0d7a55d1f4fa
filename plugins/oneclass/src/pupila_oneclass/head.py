"""The classifier on features: its layers, its loss, and the calibration of its probabilities.

Oza and Patel 2019 (IEEE Signal Processing Letters 26:277; arXiv 1901.08688), "One-class
convolutional neural network". The features f of an image are normalised by their own mean and
standard deviation (the paper's "instance normalisation"),

    h = (f - mean(f)) / sqrt(var(f) + 1e-5)

Each h of a batch is paired with a pseudo-negative n, a random vector of N(0, σ² I), σ = 0.01. A
classifier c learns to distinguish h from n by cross-entropy:

    (CE(positive, c(h)) + CE(other, c(n))) / 2

All h have the length sqrt(columns), and pseudo-negatives lie near 0, so the classifier learns the
direction of the class, and needs few epochs. More augmented views of the images left every test
metric the same to three digits (frozen EfficientNet-Lite0, one seed).

There are two differences from the authors' code. The classifier has a hidden layer. And the ReLU
after the normalisation is left out, as it discards all features below their mean: AUROC on fundus
and other photographs was 0.93 with ReLU and 0.9996 without it; without the normalisation it was
0.64 (one run each).

**Calibration.** The logit z = z_positive - z_other grows with the length of the training, so the
uncalibrated softmax says little about an image. Therefore z is shifted and scaled by two numbers,
computed only from the class's validation images. With s the `target_sensitivity`, t is the logit
that a fraction s of these images reaches, and m is the median of their logits:

    z' = (z - t) · ln(s / (1 - s)) / (m - t)

The softmax of z' is 0.5 at t, and s at m. So this probability says how far an image is from the
median of the class, in units of the spread of the class. As z' is linear in z, the last layer can
compute z' with changed weights, and the order of the images does not change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import PupilaError
from pupila.intervals import Floats
from pupila.keras_files import import_keras
from pupila.metrics import threshold_for
from pupila.training.loss import label_loss
from pupila_oneclass.config import CLASSES

keras = import_keras()
layers, ops = keras.layers, keras.ops

_EPSILON = 1e-5
"""ε of the instance normalisation, as in the authors' code: PyTorch's default."""

_MARGIN = 1e-3
"""t is lowered by this fraction of m - t, so that the image at the threshold stays accepted in
runtimes that round differently."""


class PseudoNegatives(layers.Layer):
    """A layer that outputs one random vector of N(0, σ² I) for each input vector.

    The vectors are random in training and in validation.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]  - Keras has no types
        self._sigma = sigma
        self._random = keras.random.SeedGenerator()

    def call(self, features: Any) -> Any:
        return keras.random.normal(ops.shape(features), stddev=self._sigma, seed=self._random)


class Head:
    """The layers of the classifier, shared by the training model and the final one."""

    def __init__(self, hidden: int) -> None:
        self.normalise = layers.LayerNormalization(
            center=False, scale=False, epsilon=_EPSILON, name="one_class_norm"
        )
        self._hidden = layers.Dense(hidden, activation="relu", name="one_class_hidden")
        self._logits = layers.Dense(CLASSES, name="one_class_logits")

    def logits(self, normalised: Any) -> Any:
        """Return logits `(batch, classes)` of normalised features `(batch, columns)`."""
        return self._logits(self._hidden(normalised))

    def training_model(self, inputs: Any, features: Any, sigma: float) -> Any:
        """Return a model with the input `inputs` that outputs two sets of logits, side by side.

        The first logits are those of the tensor `features`, the others those of pseudo-negatives.
        The output is `(batch, 2 · classes)`. `sigma` is the standard deviation of the
        pseudo-negatives.
        """
        normalised = self.normalise(features)
        negatives = PseudoNegatives(sigma)(normalised)
        both = [self.logits(normalised), self.logits(negatives)]
        return keras.Model(inputs, layers.Concatenate()(both))

    def final_model(self, inputs: Any, features: Any, name: str) -> Any:
        """Return a model with the input `inputs` that outputs probabilities `(batch, classes)`.

        The probabilities are computed from the tensor `features`, which is computed from `inputs`.
        """
        logits = self.logits(self.normalise(features))
        probabilities = layers.Softmax(name="one_class_probabilities")(logits)
        return keras.Model(inputs, probabilities, name=name)

    def normalised(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the normalised features h of `features`; both arrays are `(images, columns)`."""
        return np.asarray(self.normalise(ops.convert_to_tensor(features)))

    def scores(self, normalised: NDArray[np.float32], column: int) -> Floats:
        """Return z `(images,)`, the log-odds of the class with index `column`.

        `normalised` are the normalised features h `(images, columns)`.
        """
        logits = np.asarray(self.logits(ops.convert_to_tensor(normalised)))
        return (logits[:, column] - logits[:, 1 - column]).astype(np.float64)

    def calibrate(self, calibration: Calibration, column: int) -> None:
        """Change the last layer so that it computes z' of the class with index `column`."""
        kernel, bias = (np.asarray(weight) for weight in self._logits.get_weights())
        shift = np.where(np.arange(CLASSES) == column, -0.5, 0.5) * calibration.threshold
        scale = calibration.scale
        self._logits.set_weights([scale * kernel, scale * (bias + shift.astype(np.float32))])


@dataclass(frozen=True)
class Calibration:
    """Shift and scale of the logits, computed from logits of the class's validation images."""

    threshold: float
    """t in the formula of the module docstring, lowered slightly."""
    scale: float
    """Factor of (z - t)."""

    @classmethod
    def of(cls, scores: Floats, target_sensitivity: float, positive: str) -> Calibration:
        """Return the shift t and the scale of the formula in the module docstring.

        `scores` are the logits z `(images,)` of validation images of the class `positive`.

        Raises:
            PupilaError: the median is not above t, for example because all scores are equal.
        """
        lowest = threshold_for(scores, np.ones(len(scores), np.bool_), target_sensitivity)
        reach = float(np.median(scores)) - lowest
        if not reach > 0:
            raise PupilaError(
                f"Validation images of {positive!r} are answered alike ({len(scores)} in all), so "
                f"they do not tell how far the class reaches. Give more of them, or features that "
                f"differ from image to image."
            )
        middle_is = math.log(target_sensitivity / (1 - target_sensitivity))
        return cls(lowest - _MARGIN * reach, middle_is / (reach * (1 + _MARGIN)))


def loss(targets: Any, outputs: Any) -> Any:
    """Return, for each image, the mean cross-entropy of the image and its pseudo-negative.

    `targets` are labels `(batch, classes)`, and `outputs` are the outputs of `Head.training_model`.
    The result is `(batch,)`.
    """
    images, negatives = outputs[..., :CLASSES], outputs[..., CLASSES:]
    return (label_loss(targets, images) + label_loss(1 - targets, negatives)) / 2
