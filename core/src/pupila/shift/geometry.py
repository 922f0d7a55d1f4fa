"""Alterations of the framing: rotation, zoom and a moved centre.

Images are uint8 `(n, height, width, 3)`.
"""

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
"""Section of an image: left and top in pixels, then width and height as fractions of the image's
width and height."""
WHOLE: Window = (0, 0, 1, 1)
Matrix = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): the point (x, y) of a result is taken from the point (a·x + b·y + c,
d·x + e·y + f) of an image. The middle of the first pixel is at (0.5, 0.5), as in Pillow."""

_DEGREES = {"mild": 15, "middle": 30, "strong": 60}
_ZOOM = {"mild": 0.1, "middle": 0.22, "strong": 0.4}
"""Change of scale: an image is zoomed in or out by the factor 1 plus this."""
_OFFSET = {"mild": 0.05, "middle": 0.11, "strong": 0.2}
"""Distance between the new and the old centre, as a fraction of the sides."""


def rotation(images: Images, severity: Severity, random: Random) -> Images:
    """Rotate images about the centre, in a random direction."""
    signs = random.integers(0, 2, len(images)) * 2 - 1
    angles = [math.radians(_DEGREES[severity]) * int(sign) for sign in signs]
    moved = [_move(image, angle) for image, angle in zip(images, angles, strict=True)]
    return np.stack(moved)


def framing(images: Images, severity: Severity, random: Random) -> Images:
    """Zoom images in or out, and move the centre in a random direction."""
    nearer = random.integers(0, 2, len(images)).astype(bool)
    angles = random.uniform(0, 2 * math.pi, len(images))
    factor, offset = 1 + _ZOOM[severity], _OFFSET[severity]
    moved = [
        _move(
            image,
            scale=1 / factor if near else factor,
            across=offset * math.cos(angle),
            down=offset * math.sin(angle),
        )
        for image, near, angle in zip(images, nearer.tolist(), angles.tolist(), strict=True)
    ]
    return np.stack(moved)


def _move(
    image: Images, angle: float = 0, scale: float = 1, across: float = 0, down: float = 0
) -> Images:
    """Show another section of an image: `scale` times its sides, around a moved centre."""
    height, width, _ = image.shape
    margin = math.ceil(max(height, width) * (scale * math.sqrt(2) - 1) / 2) + 1
    margin += math.ceil(max(abs(across), abs(down)) * max(height, width))
    margin = max(0, margin)
    return warp(
        image,
        angle=angle,
        scale=scale,
        shift=(across * width, down * height),
        margin=(margin, margin),
        mode="symmetric",
    )


def warp(
    image: Images,
    *,
    angle: float,
    scale: float,
    shift: tuple[float, float],
    window: Window = WHOLE,
    margin: tuple[int, int],
    mode: Literal["reflect", "symmetric"],
    stretch: float = 1.0,
) -> Images:
    """Return an image of the same size that shows a rotated, scaled and moved frame of `image`.

    `image` is `(height, width, 3)`. The other arguments are those of `frame`. The frame may reach
    beyond the edges of `image`. Beyond the edges, `image` is continued by its mirror image (`mode`
    of `numpy.pad`), for `margin` pixels horizontally and vertically.

    The interpolation is cubic, because linear interpolation blurs. A teacher may take blur for a
    sign of a class. A student that reads fewer pixels cannot see the blur, so it would learn the
    teacher's answer for sharp images too.
    """
    height, width, _ = image.shape
    margin_x, margin_y = margin
    matrix = frame(
        (width, height),
        angle=angle,
        scale=scale,
        shift=shift,
        window=window,
        margin=margin,
        stretch=stretch,
    )
    padding = ((margin_y, margin_y), (margin_x, margin_x), (0, 0))
    padded = Image.fromarray(np.pad(image, padding, mode=mode))
    shown = padded.transform(
        (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
    )
    return np.asarray(shown, np.uint8)


def frame(
    size: tuple[float, float],
    *,
    angle: float,
    scale: float,
    shift: tuple[float, float],
    window: Window = WHOLE,
    margin: tuple[float, float] = (0, 0),
    stretch: float = 1.0,
) -> Matrix:
    """Return the matrix of a frame: where in an image each point of the result is taken from.

    `size` is the image's width and height. The frame is rotated by `angle` in radians, is `scale`
    times as large as the image, and has its centre moved by `shift` to the right and down. The
    section `window` of the frame is stretched over the whole result. `margin` is added to both
    coordinates. With a `stretch` of width / height, the frame is rotated as if the image had been
    squeezed to a square, so that a rotation has the same effect at any size of the image.
    """
    (width, height), (margin_x, margin_y), (shift_x, shift_y) = size, margin, shift
    cosine, sine = math.cos(angle) * scale, math.sin(angle) * scale
    across, down = sine * stretch, sine / stretch
    x, y = width / 2, height / 2
    first_x = margin_x + x + shift_x - cosine * x - across * y
    first_y = margin_y + y + shift_y + down * x - cosine * y
    left, top, fraction_x, fraction_y = window
    return (
        *(cosine * fraction_x, across * fraction_y, first_x + cosine * left + across * top),
        *(-down * fraction_x, cosine * fraction_y, first_y - down * left + cosine * top),
    )
