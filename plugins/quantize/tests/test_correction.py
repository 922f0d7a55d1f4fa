from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from pupila import Dataset, installed, keras_files
from pupila.manifest import read
from pupila.scanning import scan
from pupila.store import Store
from pupila.testing import ignore_progress, run_step, store_model
from pupila_quantize import correction
from pupila_quantize.comparing import predict
from pupila_quantize.config import QuantizeInt4, QuantizeInt8, QuantizeMixed
from pupila_quantize.gptq import round_weights
from pupila_quantize.observing import measure_inputs
from pupila_quantize.weighted import Constant, read_weighted_operators

keras = keras_files.import_keras()
layers = keras.layers
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 9, 10, 4), np.uint8)


def converted(layer, folder):
    """Write a flatbuffer of only that layer."""
    keras.utils.set_random_seed(0)
    image = keras.Input(IMAGES.shape[1:], batch_size=1)
    model = keras.Model(image, layer(image))
    for weight in model.weights:  # the converter leaves out a bias of zeros
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    path = folder / "model.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return path


LAYERS = {
    "dense": lambda: keras.Sequential([layers.Flatten(), layers.Dense(5)]),
    "dense at every place": lambda: layers.Dense(5),
    "point by point": lambda: layers.Conv2D(5, 1),
    "padded": lambda: layers.Conv2D(5, 3, padding="same"),
    "not padded": lambda: layers.Conv2D(5, (3, 2)),
    "padded in strides": lambda: layers.Conv2D(5, 3, strides=2, padding="same"),
    "dilated": lambda: layers.Conv2D(5, 3, dilation_rate=2, padding="valid"),
    "in groups": lambda: layers.Conv2D(6, 3, groups=2, padding="same"),
    "depthwise": lambda: layers.DepthwiseConv2D(3, padding="same"),
    "depthwise in strides": lambda: layers.DepthwiseConv2D(3, strides=2, padding="same"),
    "widening depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_mean_output_of_a_layer_follows_from_the_mean_of_its_input(name, tmp_path):
    path = converted(LAYERS[name](), tmp_path)
    (operator,) = read_weighted_operators(path)
    (stats,) = measure_inputs(path, IMAGES, [0, 2, 5], True, ignore_progress)
    assert operator.bias is not None
    expected = correction._mean_output(operator, stats.mean) + operator.bias.values()
    given = predict(path, IMAGES[[0, 2, 5]], ignore_progress)
    np.testing.assert_allclose(expected, given.reshape(-1, len(expected)).mean(0), 1e-3)


def test_second_moments_are_of_the_patches_of_a_convolution(tmp_path, monkeypatch):
    path = converted(layers.Conv2D(5, (3, 2)), tmp_path)
    monkeypatch.setattr("pupila_quantize.observing._MAX_PATCHES", 10_000)
    (stats,) = measure_inputs(path, IMAGES, [1], True, ignore_progress)
    picture = IMAGES[1].astype(np.float32)
    patches = [picture[y : y + 3, x : x + 2].reshape(-1) for y in range(7) for x in range(9)]
    np.testing.assert_allclose(
        stats.moments[0],
        np.cov(np.transpose(patches), bias=True)
        + np.outer(np.mean(patches, 0), np.mean(patches, 0)),
        1e-3,
    )


@pytest.mark.parametrize("together", [16, 64])
def test_gptq_has_less_error_than_rounding_to_nearest(together):
    random = np.random.default_rng(0)
    inputs = (random.normal(size=(500, 8)) @ random.normal(size=(8, 64))).astype(np.float32)
    inputs[:, 5] = 0
    weights = random.normal(size=(12, 64)).astype(np.float32)
    scales = np.abs(weights).max(1).astype(np.float64) / 7
    blocks = np.split(inputs, range(together, 64, together), axis=1)
    moments = [block.T @ block / 500 for block in blocks]
    rounded = round_weights(weights, scales, moments, 7)
    nearest = np.rint(weights / scales[:, np.newaxis])

    def error(stored):
        return np.square(inputs @ (stored * scales[:, np.newaxis] - weights).T).mean()

    assert np.abs(rounded).max() <= 7
    assert error(rounded) < 0.5 * error(nearest)


@pytest.mark.parametrize("count", [6, 7])
def test_weights_of_four_bits_are_read_and_written_two_to_a_byte(count):
    tensor = SimpleNamespace(shape=[count], type=schema.TensorType.INT4, quantization=None)
    constant = Constant(
        tensor, np.array([0x8F, 0x70, 0x21, 0x03][: -(-count // 2)], np.uint8), False
    )
    expected = [-1, -8, 0, 7, 1, 2, 3][:count]
    assert constant.values().tolist() == expected
    constant.write(np.array(expected[::-1]))
    assert constant.values().tolist() == expected[::-1]


@pytest.mark.parametrize(
    ("name", "settings", "counts"),
    [
        ("quantize-int8", {"correction": "none"}, None),
        ("quantize-int8", {}, (7, 0)),
        ("quantize-int8", {"correction": "gptq"}, (7, 6)),
        ("quantize-int4", {}, (7, 6)),
        ("quantize-int4", {"block": 32}, (5, 4)),
        ("quantize-mixed", {}, (7, 0)),
    ],
)
def test_the_numbers_of_corrections_are_measured(name, settings, counts, quantized):
    measured = quantized(name, **settings).result.measured
    keys = ("corrected_biases", "rounded_kernels")
    assert counts == (tuple(measured[key] for key in keys) if counts else measured.get(keys[0]))


def test_correction_brings_answers_closer_to_float(quantized, tmp_path):
    divergence = {}
    for which in ("none", "bias", "gptq"):
        divergence[which] = quantized("quantize-int4", correction=which).result.measured[
            "divergence"
        ]
        (tmp_path / "quantize-int4").rename(tmp_path / which)
    assert divergence["gptq"] < divergence["none"]
    assert divergence["bias"] < divergence["none"]


def test_the_defaults_are_bias_in_eight_bits_and_gptq_in_four():
    configs = (QuantizeInt8, QuantizeMixed, QuantizeInt4)
    assert [config().correction for config in configs] == ["bias", "bias", "gptq"]


def test_a_kernel_that_is_used_twice_is_not_rounded_for_one_of_its_uses(store, dataset, tmp_path):
    image = keras.Input((32, 32, 3))
    again = layers.Conv2D(3, 3, name="again")
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1)(again(again(image))))
    teacher = store_model(store, keras.Model(image, layers.Dense(2, "softmax")(pooled)))
    made = exported(teacher, store, tmp_path)
    plugin, kernels = installed().step("quantize-int4"), {}
    for which in ("none", "gptq"):
        config = plugin.config.model_validate({"correction": which})
        form = run_step(plugin, config, [made], tmp_path / which, store=store, dataset=dataset)
        operators = read_weighted_operators(form.artifact.file(".tflite"))
        kernels[which] = [operator.kernel for operator in operators]
    assert [kernel.is_shared for kernel in kernels["gptq"]] == [True, True, False, False]
    same = [
        (one.values() == other.values()).all()
        for one, other in zip(kernels["none"], kernels["gptq"], strict=True)
    ]
    assert same[:2] == [True, True]
    assert form.result.measured["rounded_kernels"] == 2


def exported(teacher, store, folder):
    plugin = installed().step("export-tflite")
    return run_step(plugin, plugin.config(), [teacher], folder / "export", store=store).artifact


@pytest.mark.long
@pytest.mark.parametrize("name", ["efficientnet_lite0", "squeezenet"])
def test_real_teachers_keep_their_accuracy_in_four_bits(
    name, shared_teachers, shared_data, tmp_path
):
    frame = scan(read(shared_data / "glaucoma.csv"), tmp_path / "cache", ignore_progress)
    images = Dataset.of(frame, ("glaucoma", "normal"), tmp_path / "cache")
    store = Store(tmp_path / "store")
    model = keras.saving.load_model(shared_teachers / f"{name}.keras", compile=False)
    made = exported(store_model(store, model, images.classes), store, tmp_path)
    plugin = installed().step("quantize-int4")
    measured = {}
    for correction_ in ("none", "gptq"):
        config = plugin.config.model_validate({"correction": correction_})
        measured[correction_] = run_step(
            plugin, config, [made], tmp_path / correction_, store=store, dataset=images
        ).result.measured
    assert measured["none"]["validation_accuracy"] < measured["none"]["float_accuracy"] - 0.1
    assert measured["gptq"]["validation_accuracy"] > measured["gptq"]["float_accuracy"] - 0.05
