from __future__ import annotations

import gzip
from itertools import pairwise

import numpy as np
import pytest

from pupila import InputSpec, keras_files
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.store import Store
from pupila.testing import draw_colours, read_images, run_step, step_for, store_model
from pupila_quantize.config import Qat
from pupila_quantize.qat import qat
from pupila_quantize.structure import structure_constraint
from pupila_quantize.weighted import read_weighted_operators

keras = keras_files.import_keras()
layers = keras.layers
INPUT = InputSpec(height=16, width=16)
CLASSES = ("blue", "red")
CHANNELWISE = (0, 1, 2)


def drawn(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def clustered(*shape, values=8):
    """Draw a kernel whose weights have few values."""
    random = np.random.default_rng(1)
    return random.choice(random.normal(size=values), shape).astype(np.float32)


def moved(form, kernel):
    return np.asarray(form(kernel + 0.1 * drawn(*kernel.shape)))


def test_a_kernel_of_ordinary_weights_is_left_to_move():
    kernel = drawn(3, 3, 4, 8)
    kernel.reshape(-1)[:20] = 0  # 7 %
    assert structure_constraint(kernel, CHANNELWISE) is None


def test_zeros_stay_where_a_tenth_of_a_kernel_is_zero():
    kernel = drawn(3, 3, 4, 8)
    kernel.reshape(-1)[:40] = 0
    form = structure_constraint(kernel, CHANNELWISE)
    after = moved(form, kernel)
    assert ((after == 0) == (kernel == 0)).all()
    assert (after[kernel != 0] == (kernel + 0.1 * drawn(*kernel.shape))[kernel != 0]).all()


def test_weights_of_one_value_move_together_by_their_mean():
    kernel = clustered(3, 3, 4, 8)
    form = structure_constraint(kernel, CHANNELWISE)
    assert form is not None
    after, free = moved(form, kernel), kernel + 0.1 * drawn(*kernel.shape)
    assert form.values == len(np.unique(after)) == 8
    for value in np.unique(kernel):
        np.testing.assert_allclose(after[kernel == value], free[kernel == value].mean(), 1e-4)


@pytest.mark.parametrize(
    ("shape", "shared"), [((3, 3, 8, 40), (0, 1, 2)), ((64, 40), (0,)), ((3, 3, 40, 8), (0, 1, 3))]
)
def test_channels_that_folding_scaled_are_clustered_one_by_one(shape, shared):
    places = [1 if axis in shared else length for axis, length in enumerate(shape)]
    kernel = clustered(*shape) * np.random.default_rng(2).uniform(1, 2, places).astype(np.float32)
    kernel[kernel < -1] = 0
    form = structure_constraint(kernel, shared)
    assert form is not None
    after = np.moveaxis(moved(form, kernel), [a for a in range(len(shape)) if a not in shared], [0])
    assert all(len(np.unique(channel)) <= form.values <= 8 for channel in after)
    assert len(np.unique(after)) > 256


def test_few_values_are_no_clusters_where_few_weights_share_them():
    assert structure_constraint(clustered(1, 1, 4, 7, values=100), CHANNELWISE) is None


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    draw_colours(folder / "images", side=16)
    return read_images(folder / "images", folder / "cache")


def altered(change):
    """Return a small net; `change` makes of the kernels of two layers what they are to be."""
    keras.utils.set_random_seed(0)
    image = keras.Input(INPUT.shape)
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = layers.Conv2D(8, 3, activation="relu", name="first")(x)
    x = layers.Conv2D(40, 3, use_bias=False, name="second")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.Dense(32, name="third", activation="relu")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, layers.Dense(2, activation="softmax")(x))
    model.get_layer("norm").gamma.assign(np.random.default_rng(0).uniform(0.5, 2, 40))
    for name in ("second", "third"):
        kernel = model.get_layer(name).kernel
        kernel.assign(change(np.asarray(kernel)))
    return model


def sparse(kernel):
    return np.where(np.abs(kernel) < np.quantile(np.abs(kernel), 0.8), 0, kernel)


def few_values(kernel):
    edges = np.quantile(kernel, np.linspace(0, 1, 9))
    middles = np.array([kernel[(kernel >= a) & (kernel <= b)].mean() for a, b in pairwise(edges)])
    return middles[np.clip(np.searchsorted(edges, kernel) - 1, 0, 7)].astype(np.float32)


@pytest.fixture
def trained(dataset, tmp_path):
    """Train the small net with its kernels changed so; tell what was measured, and the kernels."""

    def train(change, folder):
        artifact = store_model(Store(tmp_path / "store"), altered(change), CLASSES)
        settings = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01}
        step = step_for(
            Qat.model_validate(settings),
            [artifact],
            tmp_path / folder,
            dataset=dataset,
            predictions=Predictions(tmp_path / "predictions"),
        )
        measured, path = qat(step).measured, step.output / "model.tflite"
        kernels = [operator.kernel for operator in read_weighted_operators(path)]
        return (
            measured,
            [kernel.values() for kernel in kernels if kernel.values().size > 1000],
            path,
        )

    return train


def packed_size(path):
    return len(gzip.compress(path.read_bytes(), mtime=0))


@pytest.mark.slow
def test_a_sparse_model_stays_as_sparse_in_the_file(trained):
    measured, kernels, path = trained(sparse, "sparse")
    before = [np.asarray(altered(sparse).get_layer(name).kernel) for name in ("second", "third")]
    turned = [np.moveaxis(kernel, -1, 0).reshape(len(kernel.T), -1) for kernel in before]
    assert len(kernels) == 2
    for was, stored in zip(turned, kernels, strict=True):
        assert (stored.reshape(was.shape)[was == 0] == 0).all()
    zeros = sum(int((kernel == 0).sum()) for kernel in before)
    assert measured["sparsity"] == pytest.approx(zeros / (3 * 72 + 2880 + 1280 + 64))
    assert measured["clusters"] == {}
    dense, _, other = trained(lambda kernel: kernel, "dense")
    assert (dense["sparsity"], dense["clusters"]) == (0, {})
    assert packed_size(path) < 0.9 * packed_size(other)


@pytest.mark.slow
def test_a_clustered_model_stays_clustered_in_the_file(trained):
    measured, kernels, path = trained(few_values, "clustered")
    assert measured["clusters"] == {"second": 8, "third": 8}
    assert len(kernels) == 2
    for kernel in kernels:
        assert all(len(np.unique(channel)) <= 8 for channel in kernel)
    _, _, other = trained(lambda kernel: kernel, "dense")
    assert packed_size(path) < 0.9 * packed_size(other)


@pytest.mark.parametrize(
    "name",
    [
        "quantize-int4",
        pytest.param("quantize-int8", marks=pytest.mark.long),
        pytest.param("quantize-dynamic", marks=pytest.mark.long),
    ],
)
def test_quantisation_after_training_stores_zeros_as_zeros(name, dataset, tmp_path):
    store = Store(tmp_path / "store")
    export, plugin = installed().step("export-tflite"), installed().step(name)
    given = run_step(
        export,
        export.config(),
        [store_model(store, altered(sparse), CLASSES)],
        tmp_path / "export",
        store=store,
    ).artifact
    made = run_step(
        plugin, plugin.config(), [given], tmp_path / "form", store=store, dataset=dataset
    ).artifact
    pairs = zip(
        *(read_weighted_operators(artifact.file(".tflite")) for artifact in (given, made)),
        strict=True,
    )
    seen = 0
    for original, form in pairs:
        zeros = original.kernel.values() == 0
        assert (form.kernel.values()[zeros] == 0).all()
        seen += zeros.sum()
    assert seen > 0.7 * (2880 + 1280)
