"""A flatbuffer of another task may give an output of any shape that the task expects."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from pupila import OutputSpec, PupilaError
from pupila.testing.spots import SPOTS, spots_installed
from pupila_tflite.loader import load

GRID = OutputSpec(task=SPOTS, kind="grid", classes=("spot",))


@pytest.fixture(autouse=True)
def spots(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    with spots_installed(tmp_path_factory.mktemp("site")):
        yield


def _write(folder: Path, function: Any) -> Path:
    module: Any = tf.Module()
    signature = [tf.TensorSpec((1, 8, 6, 3), tf.float32)]
    module.function = tf.function(function, input_signature=signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.function.get_concrete_function()], module
    )
    path = folder / "given.tflite"
    path.write_bytes(converter.convert())
    return path


def _heat(image):
    return tf.reduce_mean(tf.nn.avg_pool2d(image, 2, 2, "VALID"), axis=3, keepdims=True)


def test_a_heat_map_is_read_with_its_shape(tmp_path: Path):
    folder = tmp_path / "loaded"
    folder.mkdir()
    product = load(_write(tmp_path, _heat), GRID, folder)
    assert product.output == GRID.model_copy(update={"size": (4, 3, 1)})


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (_heat, "coordinates", r"The model gives \(4, 3, 1\) for each image, and coordinates of a"),
        (
            lambda image: 0 * image,
            "grid",
            r"The model gives \(8, 6, 3\) for each image, and grid of",
        ),
        (lambda image: _heat(image) / 0, "grid", "answers with numbers that are NaN or infinite"),
    ],
)
def test_an_output_that_the_task_does_not_expect_is_refused(
    function, kind: str, message: str, tmp_path: Path
):
    output = GRID.model_copy(update={"kind": kind})
    with pytest.raises(PupilaError, match=message):
        load(_write(tmp_path, function), output, tmp_path)
