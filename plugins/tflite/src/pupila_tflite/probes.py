"""Draws synthetic images, for trying a model without real images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pupila import InputSpec

_NOISE_IMAGES = 3


def draw_probes(spec: InputSpec, seed: int) -> NDArray[np.uint8]:
    """Return images of the size `spec`: black, white, a colour ramp, and random noise.

    The images are uint8 `(images, height, width, 3)`.
    """
    random = np.random.default_rng(seed)
    plain = [np.full(spec.shape, level, np.uint8) for level in (0, 255)]
    noise = random.integers(0, 256, (_NOISE_IMAGES, *spec.shape), np.uint8)
    return np.stack([*plain, _ramp(spec), *noise])


def _ramp(spec: InputSpec) -> NDArray[np.uint8]:
    """Return an image in which red grows to the right, green downwards, and blue along both."""
    down, right = np.meshgrid(
        np.linspace(0, 255, spec.height), np.linspace(0, 255, spec.width), indexing="ij"
    )
    return np.stack([right, down, (down + right) / 2], axis=-1).astype(np.uint8)
