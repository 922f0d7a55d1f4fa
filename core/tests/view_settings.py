"""Augmentations that change only what a test is about, and pictures to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila.views import Augmentation

SHA256 = "3f" * 32
STILL: dict[str, Any] = {
    "flip_horizontal": False,
    "rotation_degrees": 0,
    "zoom": 0,
    "shift": 0,
    "brightness": 0,
    "contrast": 0,
    "saturation": 0,
    "channel_gain": 0,
}


def changed(**amounts: Any) -> Augmentation:
    """Return an augmentation that changes only what is given."""
    return Augmentation(**{**STILL, **amounts})


def photographs(side: int) -> NDArray[np.uint8]:
    """Return smooth random pictures `(4, side, side, 3)`, the same at any size."""
    random = np.random.default_rng(0)
    coarse = [random.integers(0, 255, (7, 7, 3), np.uint8) for _ in range(4)]
    size = (side, side)
    return np.stack(
        [
            np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
            for picture in coarse
        ]
    )
