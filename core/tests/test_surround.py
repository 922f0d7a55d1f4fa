"""Images that keep their aspect in a larger picture: how they get there, and come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pupila.errors import PupilaError
from pupila.images import MARKER, content_of, resize
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.runtime import ignore_progress
from pupila.shift import FAMILIES, alter, alter_each
from pupila.shift_suite import Cell, pictures
from pupila.spec import InputSpec
from pupila.store import Store
from pupila.testing import draw_images, keras_artifact, read_images
from pupila.views import Augmentation

CANVAS = InputSpec(height=40, width=64, fit="surround")


def _noise(width: int, height: int, seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))


def test_only_an_unusual_fit_is_written_into_records():
    assert InputSpec(height=2, width=3).model_dump() == {"height": 2, "width": 3}
    read = InputSpec.model_validate_json(CANVAS.model_dump_json())
    assert read == CANVAS
    assert read.model_dump()["fit"] == "surround"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((20, 30), (20, 30)),
        ((64, 40), (64, 40)),
        ((128, 40), (64, 20)),
        ((64, 80), (32, 40)),
        ((1000, 3), (64, 1)),
        ((99, 61), (64, 39)),
    ],
)
def test_an_image_that_is_too_large_is_reduced_with_its_aspect(
    size: tuple[int, int], expected: tuple[int, int]
):
    image = _noise(*size)
    picture = resize(image, CANVAS)
    assert picture.shape == CANVAS.shape
    content = content_of(picture, CANVAS)
    assert content.shape[1::-1] == expected
    same = image if size == expected else image.resize(expected, Image.Resampling.BILINEAR)
    assert np.array_equal(content, np.asarray(same))
    outside = np.ones(CANVAS.shape[:2], bool)
    outside[: expected[1], : expected[0]] = False
    assert (picture[outside] == MARKER).all()


def test_an_image_of_the_marker_colour_is_still_told_from_what_surrounds_it():
    image = Image.new("RGB", (30, 20), MARKER)
    content = content_of(resize(image, CANVAS), CANVAS)
    assert content.shape == (20, 30, 3)
    assert np.abs(content.astype(int) - MARKER).max() == 1


def test_the_image_of_a_stretched_picture_is_all_of_it():
    picture = resize(_noise(9, 9), InputSpec(height=4, width=5))
    assert content_of(picture, InputSpec(height=4, width=5)) is picture


def test_a_picture_without_an_image_is_refused():
    with pytest.raises(PupilaError, match="shows no image"):
        content_of(np.full(CANVAS.shape, MARKER, np.uint8), CANVAS)


@pytest.mark.parametrize("name", FAMILIES)
def test_only_the_image_is_altered_and_comes_back_where_it_was(tmp_path: Path, name: str):
    dataset = read_images(draw_images(tmp_path / "images"), tmp_path / "cache").select("test")
    cells = [Cell(name, "strong", np.arange(4), (1, 2))]
    (given,) = pictures(dataset, cells, CANVAS, CANVAS)
    images = np.stack([content_of(dataset.pixels(CANVAS)[row], CANVAS) for row in range(4)])
    own = alter(installed().shift(name), images, "strong", np.random.default_rng((1, 2)))
    assert not np.array_equal(own, images)
    for picture, altered in zip(given, own, strict=True):
        assert np.array_equal(picture, resize(Image.fromarray(altered), CANVAS))


def test_images_of_several_sizes_are_altered_in_groups_and_keep_their_order():
    family = installed().shift("gamma")
    images = [np.asarray(_noise(8 + row % 2, 6, row)) for row in range(5)]
    altered = alter_each(family, images, "strong", np.random.default_rng(0))
    assert [image.shape for image in altered] == [image.shape for image in images]
    assert all((ours != theirs).any() for ours, theirs in zip(altered, images, strict=True))


def test_views_of_surrounded_images_are_refused(tmp_path: Path):
    dataset = read_images(draw_images(tmp_path / "images"), tmp_path / "cache")
    model = keras_artifact(Store(tmp_path / "store"), dataset.classes)
    record = model.record.model_copy(update={"input": CANVAS})
    surrounded = type(model)(model.path, model.digest, record)
    with pytest.raises(PupilaError, match="cannot be augmented"):
        Predictions(tmp_path / "p").of_views(
            surrounded, dataset, Augmentation(views=2, original=False), ignore_progress
        )
