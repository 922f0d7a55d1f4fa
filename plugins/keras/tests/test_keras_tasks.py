"""A teacher of another task may give an output of any shape that the task expects."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import keras
import numpy as np
import pytest

from pupila import OutputSpec, PupilaError, installed
from pupila.artifact import Origin
from pupila.predictions import open_model
from pupila.runtime import ignore_progress
from pupila.store import Store
from pupila.testing.spots import SPOTS, spots_installed

GRID = OutputSpec(task=SPOTS, kind="grid", classes=("spot",))


@pytest.fixture(autouse=True)
def spots(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    with spots_installed(tmp_path_factory.mktemp("site")):
        yield


def _locator(channels: int = 1):
    image = keras.Input((16, 24, 3))
    return keras.Model(image, keras.layers.Conv2D(channels, 4, strides=4)(image))


def _save(folder: Path, name: str, model) -> Path:
    path = folder / name
    model.export(path, verbose=False) if name == "saved" else model.save(path)
    return path


@pytest.mark.parametrize("name", ["model.keras", "saved"])
def test_a_heat_map_is_read_with_its_shape_and_run_flat(name: str, tmp_path: Path):
    model = _locator()
    source, store = _save(tmp_path, name, model), Store(tmp_path / "store")
    loader = installed().loader(source)
    with store.draft() as folder:
        product = loader.load()(source, GRID, folder)
        origin = Origin(plugin=loader.name, distribution="pupila-keras", version="0")
        artifact = store.add(folder, origin=origin, **vars(product))
    assert artifact.record.output == GRID.model_copy(update={"size": (4, 6, 1)})
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 24, 3), np.uint8)
    outputs = open_model(artifact).predict(images, ignore_progress)
    assert outputs.shape == (3, 24)
    expected = np.asarray(model(images.astype(np.float32))).reshape(3, -1)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("channels", "kind", "message"),
    [
        (2, "grid", r"The model gives \(4, 6, 2\) for each image, and grid of a spot are \(rows, "),
        (
            1,
            "coordinates",
            r"The model gives \(4, 6, 1\) for each image, and coordinates of a spot",
        ),
    ],
)
def test_an_output_that_the_task_does_not_expect_is_refused(
    channels: int, kind: str, message: str, tmp_path: Path
):
    source = _save(tmp_path, "model.keras", _locator(channels))
    output = GRID.model_copy(update={"kind": kind})
    with pytest.raises(PupilaError, match=message):
        installed().loader(source).load()(source, output, tmp_path / "out")


def test_an_output_of_any_size_is_refused(tmp_path: Path):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(1, 4)(image))
    source = _save(tmp_path, "model.keras", model)
    with pytest.raises(PupilaError, match="any size: expected one RGB image"):
        installed().loader(source).load()(source, GRID, tmp_path / "out")
