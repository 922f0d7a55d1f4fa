from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pupila import keras_files
from pupila.store import Store
from pupila.testing import keras_artifact, keras_model

keras: Any = keras_files.import_keras()
L: Any = keras.layers
ops: Any = keras.ops


def functional(shape: tuple[int | None, ...], body: Callable[[Any], Any]) -> Any:
    image = keras.Input(shape)
    return keras.Model(image, body(image))


def trained() -> Any:
    model = keras_model(2)
    model.compile("adam", "mse")
    height, width, _ = model.input_shape[1:]
    model.fit(np.zeros((4, height, width, 3)), np.zeros((4, 2)), verbose=0)
    return model


def test_a_stored_model_is_read_back(tmp_path: Path) -> None:
    artifact = keras_artifact(Store(tmp_path), ("ill", "well"))
    model = keras_files.load(artifact)
    assert model.output_shape == (None, 2)
    assert keras_files.parameters(model) == artifact.record.parameters


def test_one_model_always_gives_the_same_bytes(tmp_path: Path) -> None:
    contents: list[bytes] = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        model = functional((8, 8, 3), L.Conv2D(2, 3, dtype="float32", name="only"))
        model.name = "model"
        model.layers[0].name = "image"
        model.set_weights([np.ones(weight.shape) for weight in model.weights])
        keras_files.save(model, tmp_path / name)
        contents.append((tmp_path / name / keras_files.MODEL_NAME).read_bytes())
    assert contents[0] == contents[1]


def test_only_the_model_is_written(tmp_path: Path) -> None:
    keras_files.save(keras_model(2), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [keras_files.MODEL_NAME]


def test_no_optimizer_is_saved_and_training_goes_on(tmp_path: Path) -> None:
    model = trained()
    optimizer = model.optimizer
    keras_files.save(model, tmp_path)
    loaded = keras.saving.load_model(tmp_path / keras_files.MODEL_NAME)
    assert not loaded.compiled
    assert getattr(loaded, "optimizer", None) is None
    with zipfile.ZipFile(tmp_path / keras_files.MODEL_NAME) as archive:
        assert b"optimizer" not in archive.read("model.weights.h5")
    assert model.optimizer is optimizer
    assert model.compiled
    model.fit(np.zeros((2, *model.input_shape[1:])), np.zeros((2, 2)), verbose=0)


@pytest.mark.parametrize(
    ("shape", "body", "expected"),
    [
        ((8, 10, 3), L.Conv2D(5, 3), 6 * 8 * 3 * 3 * 3 * 5),
        ((8, 10, 3), L.Conv2D(5, 3, strides=2, padding="same"), 4 * 5 * 3 * 3 * 3 * 5),
        ((8, 8, 4), L.Conv2D(6, 3, groups=2, padding="same"), 8 * 8 * 3 * 3 * 2 * 6),
        ((8, 8, 3), L.DepthwiseConv2D(3, padding="same"), 8 * 8 * 3 * 3 * 3),
        ((8, 8, 3), L.SeparableConv2D(5, 3, padding="same"), 8 * 8 * (3 * 3 * 3 + 3 * 5)),
        ((4, 4, 3), L.Conv2DTranspose(5, 3, strides=2), 4 * 4 * 3 * 3 * 3 * 5),
        ((7,), L.Dense(5), 7 * 5),
        ((4, 4, 7), L.Dense(5), 4 * 4 * 7 * 5),
        ((4, 4, 3), L.BatchNormalization(), 0),
        ((6, 4), L.Conv1D(5, 3), 4 * 3 * 4 * 5),
        ((6, 4), L.SeparableConv1D(5, 3), 4 * (3 * 4 + 4 * 5)),
        ((5, 4, 4, 3), L.TimeDistributed(L.Conv2D(2, 1)), 5 * 4 * 4 * 3 * 2),
        ((6, 4), L.EinsumDense("abc,cde->abde", (None, 2, 8)), 6 * 4 * 2 * 8),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_macs_of_a_layer(shape: tuple[int, ...], body: Any, expected: int) -> None:
    assert keras_files.macs(functional(shape, body)) == expected


PRODUCTS: list[tuple[Callable[[Any], Any], int]] = [
    # projections of 6 positions from and to 4 channels, and twice 6 x 6 x 8
    (lambda x: L.MultiHeadAttention(2, 4)(x, x), 6 * 4 * 4 * 8 + 2 * 6 * 6 * 8),
    (lambda x: L.MultiHeadAttention(2, 4)(x[:, :1], x), 6 * 2 * 32 + 2 * 32 + 2 * 6 * 8),
    (lambda x: L.GroupQueryAttention(4, 2, 1)(x, x), 6 * 2 * (32 + 16) + 2 * 6 * 6 * 8),
    (lambda x: L.Attention()([x, x]), 2 * 6 * 6 * 4),
    (lambda x: L.AdditiveAttention()([x, x]), 6 * 6 * 4),
    (lambda x: L.Dot((2, 2))([x, x]), 6 * 6 * 4),
    (lambda x: ops.einsum("bqd,bkd->bqk", x, x), 6 * 6 * 4),
    (lambda x: ops.einsum("b...d,b...d->b...", x, x), 6 * 4),
    (lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1))), 6 * 6 * 4),
]


@pytest.mark.parametrize(("body", "expected"), PRODUCTS)
def test_products_of_tensors_count(body: Any, expected: int) -> None:
    assert keras_files.macs(functional((6, 4), body)) == expected


def test_a_layer_counts_as_often_as_it_is_called() -> None:
    layer = L.Conv2D(3, 1)
    inner = functional((4, 4, 3), layer)
    once = 4 * 4 * 3 * 3
    assert keras_files.macs(functional((4, 4, 3), lambda image: layer(layer(image)))) == 2 * once
    assert keras_files.macs(functional((4, 4, 3), lambda image: inner(inner(image)))) == 2 * once
    assert keras_files.macs(keras.Sequential([keras.Input((4, 4, 3)), inner])) == once


@pytest.mark.parametrize(
    ("name", "size", "published"),
    [
        ("VGG16", 224, 15.47e9),  # Simonyan and Zisserman's net: 15.3 G of it in convolutions
        ("MobileNet", 224, 569e6),  # Howard et al. 2017, table 4
        ("MobileNetV2", 224, 300e6),  # Sandler et al. 2018, table 4
        ("ResNet50", 224, 3.86e9),  # He et al. 2015, table 1: 3.8e9
        ("Xception", 299, 8.4e9),
    ],
)
def test_macs_of_known_nets_are_those_published(name: str, size: int, published: float) -> None:
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3))
    assert keras_files.macs(model) == pytest.approx(published, rel=0.01)


def test_sizes_that_are_not_fixed_have_no_macs() -> None:
    assert keras_files.macs(functional((None, None, 3), L.Conv2D(2, 3))) is None
    assert keras_files.macs(keras.Sequential([L.Dense(2)])) is None


def test_importing_keras_prints_nothing_and_restores_standard_error() -> None:
    program = "import sys, pupila.keras_files as k; k.import_keras(); sys.stderr.write('end')"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert (ran.stdout, ran.stderr) == (b"", b"end")
