"""Alterations of the frame: turned, nearer, farther, off the centre."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila.shift import Severity

Images = NDArray[np.uint8]
Random = np.random.Generator

Window = tuple[float, float, float, float]
"""Left and top of a part of an image, in pixels, and the parts of its width and height."""
WHOLE: Window = (0, 0, 1, 1)

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
    margin = math.ceil(max(height, width) * (scale * math.sqrt(2) - 1) / 2) + 1
    margin += math.ceil(max(abs(across), abs(down)) * max(height, width))
    margin = max(0, margin)
    return show(
        image,
        angle=angle,
        scale=scale,
        shift=(across * width, down * height),
        margin=(margin, margin),
        mode="symmetric",
    )


def show(
    image: Images,
    *,
    angle: float,
    scale: float,
    shift: tuple[float, float],
    window: Window = WHOLE,
    margin: tuple[int, int],
    mode: Literal["reflect", "symmetric"],
) -> Images:
    """Return what a frame of an image's size shows that is turned by `angle`, in radians.

    It is `scale` times as large as the image, and its centre is moved by `shift` pixels, to the
    right and down. Of it, `window` is stretched over the whole. Beyond its edges an image is
    mirrored, by `mode` of `numpy.pad`, as far as `margin` pixels to the sides, and up and down.

    The interpolation is cubic, as a linear one blurs: a teacher may read blur as a class, and a
    student that sees fewer pixels than its teacher cannot tell why, and answers so to sharp images
    too.
    """
    height, width, _ = image.shape
    (margin_x, margin_y), (shift_x, shift_y) = margin, shift
    cosine, sine = math.cos(angle) * scale, math.sin(angle) * scale
    x, y = width / 2, height / 2
    first_x = margin_x + x + shift_x - cosine * x - sine * y
    first_y = margin_y + y + shift_y + sine * x - cosine * y
    left, top, part_x, part_y = window
    matrix = (
        *(cosine * part_x, sine * part_y, first_x + cosine * left + sine * top),
        *(-sine * part_x, cosine * part_y, first_y - sine * left + cosine * top),
    )
    padding = ((margin_y, margin_y), (margin_x, margin_x), (0, 0))
    padded = Image.fromarray(np.pad(image, padding, mode=mode))
    shown = padded.transform(
        (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
    )
    return np.asarray(shown, np.uint8)
