"""A family of alterations: the lamp of the camera shows in the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pupila.shift import Severity

_ADDED = {"mild": 40, "middle": 90, "strong": 180}
"""Brightness of the middle of the spot, of 0..255."""
_SPREAD = 0.1
"""Standard deviation of the spot, as a fraction of the sides."""


def reflection(
    images: NDArray[np.uint8], severity: Severity, random: np.random.Generator
) -> NDArray[np.float32]:
    """Add a spot at a random position to each image `(n, height, width, 3)`."""
    _, height, width, _ = images.shape
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j][:, None]
    rows, columns = random.uniform(0.2, 0.8, (2, len(images), 1, 1))
    distances = (down - rows) ** 2 + (across - columns) ** 2
    spots = _ADDED[severity] * np.exp(-distances / (2 * _SPREAD**2))
    return images + spots.astype(np.float32)[..., None]
