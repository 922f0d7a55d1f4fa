"""Crops have the values of Pillow's resize, at the rounded square, with black around the image."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pupila.cropping import MARGIN, Square, crop, square_around
from pupila.spec import InputSpec

Image8 = NDArray[np.uint8]


def _image(random: np.random.Generator, width: int = 60, height: int = 40) -> Image8:
    return random.integers(0, 256, (height, width, 3), np.uint8)


def _by_pillow(image: Image8, square: Square, spec: InputSpec) -> Image8:
    """Crop from the image on a large black canvas, in one call."""
    far = 200
    canvas = np.zeros((image.shape[0] + 2 * far, image.shape[1] + 2 * far, 3), np.uint8)
    canvas[far : far + image.shape[0], far : far + image.shape[1]] = image
    left, top = far + square.left, far + square.top
    box = (left, top, left + square.side, top + square.side)
    size = (spec.width, spec.height)
    return np.asarray(Image.fromarray(canvas).resize(size, Image.Resampling.BILINEAR, box=box))


@pytest.mark.parametrize("seed", range(40))
def test_a_crop_has_the_values_of_pillow_wherever_the_square_is(seed: int):
    random = np.random.default_rng(seed)
    image = _image(random)
    x, y, half_x, half_y = random.uniform((-6, -4, 0.5, 0.5), (66, 44, 40, 40)).tolist()
    square = square_around((60, 40), (x, y), (half_x, half_y))
    spec = InputSpec(height=int(random.integers(4, 48)), width=int(random.integers(4, 48)))
    made = crop(image, square, spec)
    assert made.shape == spec.shape
    assert np.array_equal(made, _by_pillow(image, square, spec))


def test_a_square_of_whole_pixels_at_its_own_size_is_cut_out_unchanged():
    image = _image(np.random.default_rng(0))
    made = crop(image, Square(10.0, 5.0, 16.0), InputSpec(height=16, width=16))
    assert np.array_equal(made, image[5:21, 10:26])


def test_what_lies_beyond_the_image_is_black():
    white = np.full((40, 60, 3), 255, np.uint8)
    made = crop(white, Square(-16.0, 4.0, 32.0), InputSpec(height=32, width=32))
    assert not made[:, :16].any()
    assert (made[:, 16:] == 255).all()


def test_the_side_is_the_margin_times_the_larger_of_width_and_height():
    square = square_around((500, 300), (200, 100), (20, 24))
    assert square.side == 2 * MARGIN * 24
    assert (square.left + square.side / 2, square.top + square.side / 2) == (200, 100)


def test_squares_are_multiples_of_a_64th_of_a_pixel_so_that_32_bit_floats_hold_them():
    square = square_around((500, 300), (1 / 3 * 500, 2 / 7 * 300), (19.123456, 3))
    assert all((64 * number).is_integer() and np.float32(number) == number for number in square)


@pytest.mark.parametrize(
    ("centre", "half", "side"),
    [((-9e9, 50), (10, 10), 35), ((50, 50), (9e9, 1), 400), ((50, 50), (0, 0), 1)],
)
def test_a_wild_answer_gives_a_square_that_can_be_cut(
    centre: tuple[float, float], half: tuple[float, float], side: float
):
    square = square_around((200, 100), centre, half)
    assert square.side == side
    image = np.full((100, 200, 3), 9, np.uint8)
    assert crop(image, square, InputSpec(height=8, width=8)).any()
