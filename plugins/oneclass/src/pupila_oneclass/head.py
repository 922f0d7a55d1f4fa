"""The classifier on features, what it learns from, and what its answers mean.

Oza and Patel 2019 (IEEE Signal Processing Letters 26:277; arXiv 1901.08688), "One-class
convolutional neural network". The features f of an image are normalised by their own mean and
standard deviation, its "instance normalisation",

    h = (f - mean(f)) / sqrt(var(f) + 1e-5)

and to each h of a batch joins a pseudo-negative n, drawn from N(0, σ² I), σ = 0.01. A classifier c
learns to tell the two apart by cross-entropy:

    (CE(positive, c(h)) + CE(other, c(n))) / 2

All h have the length of sqrt(columns), and pseudo-negatives lie near 0: what is learned is a
direction, that of the class. It is soon found. With 1280 columns the first epoch of ten steps takes
the class far from 0 (its logits no longer have a gradient), and what follows only moves the border
of the pseudo-negatives. With a frozen EfficientNet-Lite0 (one seed) three views more changed no
figure of the test images in its third digit.

After the normalisation there is no ReLU, which the authors' code has: with it, features that are
below their mean, which are most, say nothing. (On fundus photographs, disc crops among them, and
photographs of other things, one run each: AUROC 0.93 with it, 0.9996 without; without the
normalisation, 0.64.) The classifier has a hidden layer, where the authors' code has none.

**What the answers mean.** The logit z = z_positive - z_other grows for as long as training goes on,
so a softmax of it tells the length of the training more than anything of an image. It is moved and
scaled by two numbers that the validation images of the class give, and no other image. With t the
logit from which on a fraction s of them lies, the `target_sensitivity`, and m that of the middle
one:

    z' = (z - t) · ln(s / (1 - s)) / (m - t)

The softmax is then 0.5 at t, and s at m: an image answers by how far it is from the middle
of its class, in units of how far the class itself reaches. Both are linear, and so they are put
into the last layer's weights; the order of the images does not change.
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
"""That of the instance normalisation in the authors' code, PyTorch's."""

_MARGIN = 1e-3
"""Part of the way from t to m by which t is lowered, so that the image that decides stays accepted
however a runtime rounds."""


class PseudoNegatives(layers.Layer):
    """Gives as many vectors of N(0, σ² I) as it is shown, in training and in validation."""

    def __init__(self, sigma: float) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]  - Keras has no types
        self._sigma = sigma
        self._random = keras.random.SeedGenerator()

    def call(self, features: Any) -> Any:
        return keras.random.normal(ops.shape(features), stddev=self._sigma, seed=self._random)


class Head:
    """The layers of the classifier, to be called on features in training and after it."""

    def __init__(self, hidden: int) -> None:
        self.normalise = layers.LayerNormalization(
            center=False, scale=False, epsilon=_EPSILON, name="one_class_norm"
        )
        self._hidden = layers.Dense(hidden, activation="relu", name="one_class_hidden")
        self._logits = layers.Dense(CLASSES, name="one_class_logits")

    def logits(self, normalised: Any) -> Any:
        """Return logits `(batch, classes)` of normalised features `(batch, columns)`."""
        return self._logits(self._hidden(normalised))

    def trained(self, given: Any, features: Any, sigma: float) -> Any:
        """Return the model from `given` to logits of its features, and of pseudo-negatives.

        They are side by side: `(batch, 2 · classes)`.
        """
        normalised = self.normalise(features)
        negatives = PseudoNegatives(sigma)(normalised)
        both = [self.logits(normalised), self.logits(negatives)]
        return keras.Model(given, layers.Concatenate()(both))

    def answering(self, given: Any, features: Any, name: str) -> Any:
        """Return the model from `given` to probabilities `(batch, classes)`."""
        logits = self.logits(self.normalise(features))
        probabilities = layers.Softmax(name="one_class_probabilities")(logits)
        return keras.Model(given, probabilities, name=name)

    def normalised(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return h of features `(images, columns)`."""
        return np.asarray(self.normalise(ops.convert_to_tensor(features)))

    def scores(self, normalised: NDArray[np.float32], column: int) -> Floats:
        """Return z of h `(images, columns)`: how much likelier the class in `column` is."""
        logits = np.asarray(self.logits(ops.convert_to_tensor(normalised)))
        return (logits[:, column] - logits[:, 1 - column]).astype(np.float64)

    def calibrate(self, calibration: Calibration, column: int) -> None:
        """Put z' in the place of z, `column` being that of the class."""
        kernel, bias = (np.asarray(weight) for weight in self._logits.get_weights())
        shift = np.where(np.arange(CLASSES) == column, -0.5, 0.5) * calibration.threshold
        scale = calibration.scale
        self._logits.set_weights([scale * kernel, scale * (bias + shift.astype(np.float32))])


@dataclass(frozen=True)
class Calibration:
    """What the logits of the class's own validation images say of all logits."""

    threshold: float
    scale: float

    @classmethod
    def of(cls, scores: Floats, target_sensitivity: float, positive: str) -> Calibration:
        """Return t and the scale that the head of this module tells.

        `scores` are the logits `(images,)` of validation images of the class `positive`.

        Raises:
            PupilaError: they are all one.
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
    """Return the cross-entropy of images and of their pseudo-negatives, per image `(batch,)`.

    `targets` are labels `(batch, classes)`, `outputs` those of `Head.trained`.
    """
    images, negatives = outputs[..., :CLASSES], outputs[..., CLASSES:]
    return (label_loss(targets, images) + label_loss(1 - targets, negatives)) / 2
