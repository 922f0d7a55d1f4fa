"""Scalings of pixels that many programs do before their model, and that loaders build into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Preprocess = Literal["none", "scale", "center", "imagenet", "caffe"]
"""Names of the scalings in recipes and on the command line; `none` is none."""
Channels = tuple[float, float, float]
"""A number for each of red, green and blue."""

DESCRIPTION = (
    "What was done with pixels outside the model file. It is built into the model, which Pupila "
    "gives raw RGB 0..255. scale: x / 255. center: x / 127.5 - 1. imagenet: (x / 255 - mean) / "
    "std. caffe: BGR less its mean. Means and std are ImageNet's, as in keras.applications. An "
    "artifact or a stored teacher takes none."
)
"""Description of the setting `preprocess`."""


@dataclass(frozen=True)
class PixelScaling:
    """What a program does with the pixels of an image before it gives the image to its model.

    Each channel of raw RGB in 0..255 is multiplied by its entry of `factors`, then that of `terms`
    is added. At last, if `reverses` is true, the order of the channels becomes BGR.
    """

    name: str
    """Name in recipes: a `Preprocess`."""
    factors: Channels
    terms: Channels
    reverses: bool = False

    def __call__(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Return scaled images `(…, 3)` of raw RGB images, as the program would compute them."""
        factors, terms = (np.array(numbers, np.float32) for numbers in (self.factors, self.terms))
        scaled = images * factors + terms
        return np.asarray(scaled[..., ::-1] if self.reverses else scaled, np.float32)


def scaling_of(name: str) -> PixelScaling | None:
    """Return the scaling of this name, a `Preprocess`; None for `none`."""
    return _SCALINGS.get(name)


def _alike(number: float) -> Channels:
    return (number, number, number)


def _standardised(means: Channels, deviations: Channels) -> PixelScaling:
    """Return `(x / 255 - mean) / deviation`."""
    red, green, blue = (
        (1 / (255 * deviation), -mean / deviation)
        for mean, deviation in zip(means, deviations, strict=True)
    )
    return PixelScaling("imagenet", (red[0], green[0], blue[0]), (red[1], green[1], blue[1]))


_SCALINGS: Mapping[str, PixelScaling] = {
    scaling.name: scaling
    for scaling in (
        PixelScaling("scale", _alike(1 / 255), _alike(0.0)),
        PixelScaling("center", _alike(1 / 127.5), _alike(-1.0)),
        _standardised((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        PixelScaling("caffe", _alike(1.0), (-123.68, -116.779, -103.939), reverses=True),
    )
}
"""`center`, `imagenet` and `caffe` are the modes "tf", "torch" and "caffe" of
`keras.applications.imagenet_utils`, which the numbers are from."""
