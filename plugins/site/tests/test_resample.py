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


def resized_in_page(image: Image.Image, width: int, height: int, rows: int) -> NDArray[np.uint8]:
    sizes = [*image.size, width, height, rows]
    finished = subprocess.run(
        [npm.node(), DRIVER, MODULE, *map(str, sizes)],
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
