"""Drawn images on which two runtimes are compared, where no real ones are at hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila import InputSpec

_GRAINS = (1, 2, 4, 8, 16, 32)
"""Patches along each side: from one colour to fine noise."""
_IMAGES_OF_A_GRAIN = 4


def draw_probes(contract: InputSpec, seed: int) -> NDArray[np.uint8]:
    """Return uint8 `(24, height, width, 3)`: coloured patches of several sizes, softly joined."""
    random = np.random.default_rng(seed)
    return np.stack([_draw(random, contract, grain) for grain in _GRAINS * _IMAGES_OF_A_GRAIN])


def _draw(random: np.random.Generator, contract: InputSpec, grain: int) -> NDArray[np.uint8]:
    patches = Image.fromarray(random.integers(0, 256, (grain, grain, 3), np.uint8))
    size = (contract.width, contract.height)
    return np.asarray(patches.resize(size, Image.Resampling.BILINEAR))


def ignore_progress(done: int, total: int, what: str) -> None:
    """Be told, and do nothing: probes take no time."""
