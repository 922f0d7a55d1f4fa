"""Alterations of the frame: turned, nearer, farther, off the centre."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila.shift import Severity

Images = NDArray[np.uint8]
Random = np.random.Generator

_DEGREES = {"mild": 15, "middle": 30, "strong": 60}
_ZOOM = {"mild": 0.1, "middle": 0.22, "strong": 0.4}
"""Change of scale, either way: nearer by 1 + zoom, or farther by the same factor."""
_OFFSET = {"mild": 0.05, "middle": 0.11, "strong": 0.2}
"""Distance of the new centre from the old one, as a part of the sides."""


def rotation(images: Images, severity: Severity, random: Random) -> Images:
    """Turn round the centre, either way."""
    signs = random.integers(0, 2, len(images)) * 2 - 1
    angles = [math.radians(_DEGREES[severity]) * int(sign) for sign in signs]
    moved = [_moved(image, angle) for image, angle in zip(images, angles, strict=True)]
    return np.stack(moved)


def framing(images: Images, severity: Severity, random: Random) -> Images:
    """Go nearer or farther, and off the centre in any direction."""
    nearer = random.integers(0, 2, len(images)).astype(bool)
    angles = random.uniform(0, 2 * math.pi, len(images))
    factor, offset = 1 + _ZOOM[severity], _OFFSET[severity]
    moved = [
        _moved(
            image,
            scale=1 / factor if near else factor,
            across=offset * math.cos(angle),
            down=offset * math.sin(angle),
        )
        for image, near, angle in zip(images, nearer.tolist(), angles.tolist(), strict=True)
    ]
    return np.stack(moved)


def _moved(
    image: Images, angle: float = 0, scale: float = 1, across: float = 0, down: float = 0
) -> Images:
    """Show another part of an image: `scale` of its sides, round a centre that is moved."""
    height, width, _ = image.shape
    border = math.ceil(max(height, width) * (scale * math.sqrt(2) - 1) / 2) + 1
    border += math.ceil(max(abs(across), abs(down)) * max(height, width))
    border = max(0, border)
    cosine, sine = math.cos(angle) * scale, math.sin(angle) * scale
    x, y = width / 2, height / 2
    matrix = (
        *(cosine, sine, border + x + across * width - cosine * x - sine * y),
        *(-sine, cosine, border + y + down * height + sine * x - cosine * y),
    )
    padding = ((border, border), (border, border), (0, 0))
    padded = Image.fromarray(np.pad(image, padding, mode="symmetric"))
    shown = padded.transform(
        (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
    )
    return np.asarray(shown, np.uint8)
