"""Draws synthetic images, for comparing two runtimes without real images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila import InputSpec

_GRAINS = (1, 2, 4, 8, 16, 32)
"""Numbers of patches along each side of an image: 1 is a single colour, 32 is fine noise."""
_IMAGES_PER_GRAIN = 4


def draw_probes(spec: InputSpec, seed: int) -> NDArray[np.uint8]:
    """Return 24 random images of the size `spec`: blended patches of several sizes.

    The images are uint8 `(24, height, width, 3)`.
    """
    random = np.random.default_rng(seed)
    return np.stack([_draw(random, spec, grain) for grain in _GRAINS * _IMAGES_PER_GRAIN])


def _draw(random: np.random.Generator, spec: InputSpec, grain: int) -> NDArray[np.uint8]:
    patches = Image.fromarray(random.integers(0, 256, (grain, grain, 3), np.uint8))
    size = (spec.width, spec.height)
    return np.asarray(patches.resize(size, Image.Resampling.BILINEAR))
