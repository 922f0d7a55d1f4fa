"""Drawn images that a model is tried on where no real ones are at hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pupila import InputSpec

_NOISE_IMAGES = 3


def draw_probes(contract: InputSpec, seed: int) -> NDArray[np.uint8]:
    """Return uint8 `(images, height, width, 3)`: black, white, a colour ramp and noise."""
    random = np.random.default_rng(seed)
    plain = [np.full(contract.shape, level, np.uint8) for level in (0, 255)]
    noise = random.integers(0, 256, (_NOISE_IMAGES, *contract.shape), np.uint8)
    return np.stack([*plain, _ramp(contract), *noise])


def _ramp(contract: InputSpec) -> NDArray[np.uint8]:
    """Red grows to the right, green downwards, blue along both."""
    down, right = np.meshgrid(
        np.linspace(0, 255, contract.height), np.linspace(0, 255, contract.width), indexing="ij"
    )
    return np.stack([right, down, (down + right) / 2], axis=-1).astype(np.uint8)


def ignore_progress(done: int, total: int, what: str) -> None:
    """Be told, and do nothing: probes take no time."""
