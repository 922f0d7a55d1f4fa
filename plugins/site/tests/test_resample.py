"""The page's resizing compared with Pillow's, on scikit-image's photographs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pupila import InputSpec
from pupila.images import decode, resize
from pupila.web import npm
from pupila_site import page

DRIVER = Path(__file__).with_name("resample.mjs")
MODULE = page.SOURCES / "src" / "resample.ts"

skimage = pytest.importorskip("skimage")
PHOTOGRAPHS = Path(skimage.__file__).parent / "data"


Box = tuple[float, float, float, float]


def resized_in_page(
    image: Image.Image, width: int, height: int, rows: int, box: Box | None = None
) -> NDArray[np.uint8]:
    numbers = [*image.size, width, height, rows, *(box or ())]
    finished = subprocess.run(
        [npm.node(), DRIVER, MODULE, *map(str, numbers)],
        input=image.convert("RGBA").tobytes(),
        capture_output=True,
        check=True,
    )
    return np.frombuffer(finished.stdout, np.uint8).reshape(height, width, 3)


@pytest.mark.parametrize(
    ("name", "width", "height", "rows"),
    [
        ("retina.jpg", 224, 224, 300),
        ("retina.jpg", 128, 96, 1411),
        ("retina.jpg", 1600, 1500, 64),  # larger in both directions
        ("retina.jpg", 1411, 224, 7),  # the same width
        ("chelsea.png", 224, 300, 1),  # the same height
        ("chelsea.png", 451, 300, 100),  # the same size
        ("chelsea.png", 299, 299, 100),
        ("chelsea.png", 600, 64, 100),  # wider, and lower: Pillow begins with the columns
        ("chelsea.png", 448, 293, 50),  # just low enough for that
        ("chelsea.png", 448, 294, 50),  # just not low enough
        ("chelsea.png", 224, 301, 50),  # narrower, and higher
        ("astronaut.png", 32, 32, 512),
        ("coffee.png", 224, 224, 33),
        ("rocket.jpg", 331, 331, 50),
        ("hubble_deep_field.jpg", 1, 1, 1000),
    ],
)
def test_the_page_resizes_to_the_same_pixels_as_pillow(
    name: str, width: int, height: int, rows: int
):
    image = decode(PHOTOGRAPHS / name)
    expected = resize(image, InputSpec(height=height, width=width))
    np.testing.assert_array_equal(resized_in_page(image, width, height, rows), expected)


def _random_boxes() -> list[tuple[tuple[int, int], Box, tuple[int, int]]]:
    """Return sizes of images, boxes in them, and sizes of results."""
    random, made = np.random.default_rng(4), list[tuple[tuple[int, int], Box, tuple[int, int]]]()
    while len(made) < 24:
        width, height, *target = random.integers(2, 100, 4).tolist()
        left, right = sorted(random.uniform(0, width, 2).tolist())
        top, bottom = sorted(random.uniform(0, height, 2).tolist())
        match len(made) % 4:
            case 0:
                left, bottom = 0.0, float(height)  # at the edges of the image
            case 1:
                left, top = np.floor([left, top]).tolist()  # between whole pixels
                right, bottom = left + 1 + int(right - left), top + 1 + int(bottom - top)
            case 2:
                target = [max(1, round(right - left)), max(1, round(bottom - top))]
        if right - left > 0.1 and bottom - top > 0.1:
            made.append(((width, height), (left, top, right, bottom), (target[0], target[1])))
    return made


@pytest.mark.parametrize(("size", "box", "target"), _random_boxes())
def test_the_page_resizes_a_box_to_the_same_pixels_as_pillow(
    size: tuple[int, int], box: Box, target: tuple[int, int]
):
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), np.uint8))
    expected = np.asarray(image.resize(target, Image.Resampling.BILINEAR, box=box))
    np.testing.assert_array_equal(resized_in_page(image, *target, 7, box), expected)


def test_the_page_resizes_a_box_of_a_photograph_to_the_same_pixels_as_pillow():
    image, box = decode(PHOTOGRAPHS / "retina.jpg"), (150.703125, 411.40625, 660.203125, 920.90625)
    for target in ((224, 224), (510, 510)):
        expected = np.asarray(image.resize(target, Image.Resampling.BILINEAR, box=box))
        np.testing.assert_array_equal(resized_in_page(image, *target, 100, box), expected)
