"""Photographs with a disc, crops and other images, and small models that tell them apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from pupila import Dataset
from pupila.digest import digest_file
from pupila.store import Store
from pupila.testing import colour_teacher, disc_locator, photograph_filter, run_step
from pupila_chain.config import Chain

COLOURS = {"blue": (200, 200, 255), "red": (255, 200, 200)}
SIZE = 128
"""Side of the chain's input in these tests."""


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def image_filter(store):
    return photograph_filter(store)


@pytest.fixture(scope="session")
def locator(store):
    return disc_locator(store, nowhere=20.0)


@pytest.fixture(scope="session")
def classifier(store):
    return colour_teacher(store, slope=5.0)


@pytest.fixture(scope="session")
def models(image_filter, locator, classifier):
    return image_filter, locator, classifier


@pytest.fixture(scope="session")
def make_chain(store, tmp_path_factory):
    """Return a function that joins models."""
    from pupila import installed

    def join(models, **settings):
        config = Chain(**{"size": SIZE, **settings})
        folder = tmp_path_factory.mktemp("step") / "run"
        return run_step(installed().step("chain"), config, models, folder, store=store).artifact

    return join


@pytest.fixture(scope="session")
def chain(make_chain, models):
    return make_chain(models, photograph="photograph", crop="crop")


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Photographs of both classes with and without a disc, crops, and others, with positions."""
    folder = tmp_path_factory.mktemp("images")
    random, rows = np.random.default_rng(0), []
    for split in ("train", "validation", "test"):
        for label, colour in COLOURS.items():
            for number, kind in enumerate(("disc", "disc", "disc", "bare", "crop", "other")):
                name = folder / f"{split}-{label}-{number}.png"
                image, position = _draw(kind, colour, random)
                image.save(name)
                width, height = image.size
                rows.append(
                    {
                        "path": str(name),
                        "label": label,
                        "split": split,
                        "sha256": digest_file(name),
                        "width": width,
                        "height": height,
                        "kind": kind,
                        **dict.fromkeys(("mean_red", "mean_green", "mean_blue"), 0.5),
                        **dict(zip(("x", "y", "half_width", "half_height"), position, strict=True)),
                    }
                )
    return Dataset.of(pd.DataFrame(rows), tuple(COLOURS), folder / "cache")


def _draw(kind, colour, random):
    """Return an image, and its position as texts; empty without a disc to crop."""
    width, height = (192, 128) if random.integers(2) else (96, 64)
    unknown = ("",) * 4
    if kind == "crop":
        pixels = np.clip(random.normal(colour, 10, (32, 32, 3)), 0, 255).astype(np.uint8)
        return Image.fromarray(pixels), unknown
    image = Image.fromarray(random.integers(0, 60, (height, width, 3), np.uint8))
    if kind == "other":
        return Image.new("RGB", (width, height), (20, 90, 200)), unknown
    if kind == "bare":
        return image, unknown
    x, y = random.uniform(0.2, 0.8, 2) * (width, height)
    half = 0.09 * width
    ImageDraw.Draw(image).ellipse((x - half, y - half, x + half, y + half), colour)
    return image, tuple(f"{number:.2f}" for number in (x, y, half, half))
