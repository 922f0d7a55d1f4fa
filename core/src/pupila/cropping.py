"""Cuts a square around something out of an image, and resizes it for a model.

The crop is made of the image's own pixels, with its aspect kept: a model that was trained on sharp
crops may take blur for a sign of a class.

Another program makes the same crop, value for value, if it follows these rules:

1. The square is centred on the thing, and its side is `margin` times the larger of the thing's
   width and height. Side, left and top are rounded to multiples of 1/64 pixel, halves upwards.
2. The filter is Pillow's antialiased `BILINEAR` with a `box`: a triangle whose half width is the
   larger of 1 and side / size, in pixels of the image, in fixed point of 22 bits, across and then
   down, rounded to 8 bits after each. It also weighs pixels beyond the square, which are the
   image's own.
3. Pixels beyond the image are black.

Rounding has two purposes: Pillow holds a box in 32-bit floats, which hold such numbers exactly, and
a locator's answers differ in the last digits between runtimes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila.spec import InputSpec

MARGIN = 1.75
"""Usual side of the square, as a multiple of the larger of width and height.

The crops of optic discs on which models of glaucoma are usually trained (ACRIMA) are framed like
this. Crops of 514 photographs (IDRiD) that were framed as ACRIMA's show it: of the multiples 1.60
to 1.90 of the larger, the mean or the smaller of both sides, 1.75 times the larger is nearest in
each of 43 photographs that were compared.
"""
_GRID = 64
"""Fractions of a pixel to which squares are rounded."""
_MOST_SIDES = 2
"""Largest side of a square, as a multiple of the image's longer side."""


class Square(NamedTuple):
    """A square section of an image, in pixels; it may reach beyond the image."""

    left: float
    top: float
    side: float


def square_around(
    image_size: tuple[int, int],
    centre: tuple[float, float],
    half: tuple[float, float],
    margin: float = MARGIN,
) -> Square:
    """Return the square to crop around a thing with a centre and half sizes.

    `image_size` is width and height of the image, `centre` x and y, and `half` half width and half
    height, all in pixels. A centre beyond the image is moved to its border, and a side is at least
    1 pixel and at most twice the image's longer side.
    """
    most = _MOST_SIDES * max(image_size)
    side = _rounded(min(max(2 * margin * max(half), 1.0), most))
    left, top = (
        _rounded(min(max(middle, 0.0), length) - side / 2)
        for middle, length in zip(centre, image_size, strict=True)
    )
    return Square(left, top, side)


def crop(image: NDArray[np.uint8], square: Square, spec: InputSpec) -> NDArray[np.uint8]:
    """Return a square section of an image `(rows, columns, 3)`, resized to a model's input.

    The result is uint8 `(height, width, 3)`.
    """
    reach = math.ceil(max(1.0, square.side / min(spec.height, spec.width))) + 1
    left, top = (math.floor(start) - reach for start in square[:2])
    right, bottom = (math.ceil(start + square.side) + reach for start in square[:2])
    x, y = square.left - left, square.top - top
    section = Image.fromarray(_section(image, left, top, right, bottom))
    resized = section.resize(
        (spec.width, spec.height),
        Image.Resampling.BILINEAR,
        box=(x, y, x + square.side, y + square.side),
    )
    return np.asarray(resized, np.uint8)


def _section(
    image: NDArray[np.uint8], left: int, top: int, right: int, bottom: int
) -> NDArray[np.uint8]:
    """Return a section of an image; beyond the image it is black."""
    section = np.zeros((bottom - top, right - left, 3), np.uint8)
    within = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    down, across = max(-top, 0), max(-left, 0)
    section[down : down + within.shape[0], across : across + within.shape[1]] = within
    return section


def _rounded(pixels: float) -> float:
    return math.floor(pixels * _GRID + 0.5) / _GRID
