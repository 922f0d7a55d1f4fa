from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from pupila import OutputSpec, PupilaError
from pupila.litert.tensor_io import TensorIO
from pupila.pixel_scaling import scaling_of
from pupila.plugin_registry import installed
from pupila.runtime import ignore_progress
from pupila.testing import CLASSES, LoaderContract, keras_model
from pupila_tflite.loader import _check_range, load
from pupila_tflite.runner import LiteRTModel

SOFTMAX = OutputSpec(kind="softmax", classes=("glaucoma", "normal", "other"))


class TestTfliteKeepsTheContract(LoaderContract):
    plugin = "tflite"

    @classmethod
    def make_file(cls, folder: Path, images: NDArray[np.uint8]):
        model = keras_model(len(CLASSES))
        path = folder / "model.tflite"
        path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
        return path, model.predict(images.astype(np.float32), verbose=0)


def write_flatbuffer(tmp_path, function, shape=(1, 8, 6, 3), name="given.tflite"):
    """Write the flatbuffer of one TensorFlow function."""
    module: Any = tf.Module()
    module.function = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.function.get_concrete_function()], module
    )
    path = tmp_path / name
    path.write_bytes(converter.convert())
    return path


def write_quantized(tmp_path, function, highest, lowest=0, dtype=tf.uint8):
    """Write the flatbuffer of a function with 8-bit input and output, calibrated on noise."""
    module: Any = tf.Module()
    shape = (1, 8, 6, 3)
    module.function = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.function.get_concrete_function()], module
    )
    noise = np.random.default_rng(0).uniform(lowest, highest, (4, *shape))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in noise.astype(np.float32))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = dtype
    path = tmp_path / "quantized.tflite"
    path.write_bytes(converter.convert())
    return path


def softmax_of_means(image):
    return tf.nn.softmax(tf.reduce_mean(image, axis=(1, 2)) / 99)


def softmax_of_pixels(image):
    return tf.nn.softmax(tf.reshape(image, (1, 8 * 6 * 3)) / 999)


def load_teacher(source, output, tmp_path):
    folder = tmp_path / "loaded"
    folder.mkdir()
    return load(source, output, folder)


def test_a_flatbuffer_is_copied_unchanged(exported, tmp_path):
    artifact = exported("conv_and_norm")
    source = artifact.file("model.tflite")
    product = load_teacher(source, SOFTMAX, tmp_path)
    assert (tmp_path / "loaded" / "model.tflite").read_bytes() == source.read_bytes()
    assert product.input == artifact.record.input
    assert (product.parameters, product.macs) == (artifact.record.parameters, artifact.record.macs)
    assert product.measured == {"input_type": "float32", "output_type": "float32"}


def means_of_edges(image):
    kernel = np.random.default_rng(2).normal(size=(3, 3, 3, 2)).astype(np.float32)
    return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(image, kernel, 1, "SAME")), axis=(1, 2))


@pytest.mark.parametrize("preprocess", ["scale", "center", "imagenet", "caffe"])
def test_a_float_flatbuffer_answers_raw_pixels_as_it_did_scaled_ones(preprocess, tmp_path):
    scaling = scaling_of(preprocess)
    assert scaling
    logits = OutputSpec(kind="logits", classes=("ill", "well"))
    source = write_flatbuffer(tmp_path, means_of_edges)
    folder = tmp_path / "loaded"
    folder.mkdir()
    load(source, logits, folder, scaling)
    images = np.random.default_rng(1).integers(0, 256, (4, 8, 6, 3), np.uint8)
    outputs = LiteRTModel(folder / "model.tflite", threads=1).predict(images, ignore_progress)
    expected = means_of_edges(scaling(images)).numpy()
    assert np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)


def test_scaling_is_not_built_into_a_quantised_input(tmp_path):
    source = write_quantized(tmp_path, softmax_of_means, highest=1)
    with pytest.raises(PupilaError, match="takes uint8, into which `preprocess: scale` cannot be"):
        load(source, SOFTMAX, tmp_path, scaling_of("scale"))


def test_it_is_recognised_by_its_content(exported, tmp_path):
    renamed = tmp_path / "model.bin"
    renamed.write_bytes(exported("dense").file("model.tflite").read_bytes())
    assert installed().loader(renamed).name == "tflite"


def test_another_file_is_not_recognised_by_its_name(tmp_path):
    other = tmp_path / "model.tflite"
    other.write_bytes(b"not a flatbuffer")
    recognises = installed().loader
    with pytest.raises(PupilaError, match="no known model format"):
        recognises(other)


def test_an_open_batch_is_taken_as_one_image(tmp_path):
    source = write_flatbuffer(tmp_path, lambda x: tf.nn.softmax(x[:, 0, 0, :]), (None, 8, 6, 3))
    product = load_teacher(source, SOFTMAX, tmp_path)
    assert (product.input.height, product.input.width) == (8, 6)


@pytest.mark.parametrize(("kind", "kernel"), [("sigmoid", 1), ("logits", 3), ("softmax", 3)])
def test_every_kind_of_output_is_taken_where_it_is_declared(kind, kernel, tmp_path):
    activate = {"sigmoid": tf.sigmoid, "logits": tf.identity, "softmax": tf.nn.softmax}[kind]
    source = write_flatbuffer(tmp_path, lambda x: activate(x[:, 0, 0, :kernel] / 99))
    output = OutputSpec(kind=kind, classes=SOFTMAX.classes[: max(2, kernel)])
    assert load_teacher(source, output, tmp_path).output == output


@pytest.mark.parametrize(
    ("function", "shape", "message"),
    [
        (lambda x: x[:, 0, 0, :], (2, 8, 6, 3), "takes .2, 8, 6, 3"),
        (lambda x: x[:, 0, 0, :], (1, 8, 6, 4), "takes .1, 8, 6, 4"),
        (lambda x: x[:, 0, 0, :], (1, None, None, 3), "takes .1, -1, -1, 3"),
        (lambda x: x[:, 0, :], (1, 8, 3), "takes .1, 8, 3"),
        (lambda x: x[:, 0, 0, :2], (1, 8, 6, 3), r"gives \(1, 2\).*is \(1, 3\)"),
        (lambda x: (x[:, 0, 0, :], x[:, 1, 0, :]), (1, 8, 6, 3), "exactly one output"),
        (lambda x: x[:, 0, 0, :], (1, 8, 6, 3), "numbers from 0 to 255, which is not a softmax"),
        (lambda x: x[:, 0, 0, :] / 255, (1, 8, 6, 3), "columns that sum to 0, which is not"),
        (lambda x: x[:, 0, 0, :] / 0, (1, 8, 6, 3), "numbers that are not finite"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(function, shape, message, tmp_path):
    source = write_flatbuffer(tmp_path, function, shape)
    with pytest.raises(PupilaError, match=message):
        load_teacher(source, SOFTMAX, tmp_path)
    assert list((tmp_path / "loaded").iterdir()) == []


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.999])
def test_a_truncated_file_is_refused_by_name(kept, exported, tmp_path):
    content = exported("conv_and_norm").file("model.tflite").read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(PupilaError, match=r"LiteRT .* cannot run .*cut\.tflite"):
        load_teacher(cut, SOFTMAX, tmp_path)


def test_a_corrupted_file_is_refused_or_runs_but_never_crashes(exported, tmp_path):
    content = exported("conv_and_norm").file("model.tflite").read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for number in range(20):
        broken = bytearray(content)
        for index in random.integers(8, len(content), 40):
            broken[index] = random.integers(0, 256)
        source = tmp_path / f"{number}.tflite"
        source.write_bytes(broken)
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            load(source, SOFTMAX, folder)
        except PupilaError as error:
            assert source.name in str(error)
            refused += 1
    assert refused >= 15


@pytest.mark.parametrize("dtype", [tf.int8, tf.uint8])
def test_a_quantised_input_of_raw_pixels_is_taken(dtype, tmp_path):
    source = write_quantized(tmp_path, softmax_of_means, 255, dtype=dtype)
    measured = load_teacher(source, SOFTMAX, tmp_path).measured
    assert measured == {"input_type": dtype.name, "output_type": dtype.name}


@pytest.mark.parametrize(("lowest", "range_start"), [(-1, "from -[01]"), (0, "from 0")])
def test_a_quantised_input_of_scaled_pixels_is_refused_with_its_range(
    lowest, range_start, tmp_path
):
    source = write_quantized(tmp_path, softmax_of_means, 1, lowest)
    with pytest.raises(PupilaError, match=f"{range_start}.* to (1|0.99).*scaling of pixels inside"):
        load_teacher(source, SOFTMAX, tmp_path)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point"),
    [
        ("uint8", 0.8, 0),
        ("uint8", 1.25, 0),
        ("uint8", 0.9, -20),
        ("int8", 1.0, -128),
        ("int16", 255 / 32767, 0),
        ("uint8", 0.0, 0),
        ("float32", 0.0, 0),
    ],
)
def test_a_range_that_is_about_0_to_255_is_taken(dtype, scale, zero_point):
    _check_range(Path("given.tflite"), TensorIO((1, 8, 6, 3), np.dtype(dtype), scale, zero_point))


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "range_text"),
    [
        ("uint8", 1 / 128, 128, "from -1 to 0.992"),
        ("uint8", 0.78, 0, "from 0 to 199"),
        ("uint8", 1.27, 0, "from 0 to 324"),
        ("uint8", 0.9, -24, "from 21.6 to 251"),
        ("int8", 1.0, 0, "from -128 to 127"),
    ],
)
def test_another_range_is_refused(dtype, scale, zero_point, range_text):
    image = TensorIO((1, 8, 6, 3), np.dtype(dtype), scale, zero_point)
    with pytest.raises(PupilaError, match=rf"given\.tflite.*{range_text}\. Expected raw RGB"):
        _check_range(Path("given.tflite"), image)


def test_an_8_bit_softmax_of_many_classes_is_taken(tmp_path):
    source = write_quantized(tmp_path, softmax_of_pixels, 255)
    black = np.zeros((1, 8, 6, 3), np.uint8)
    answers = LiteRTModel(source, threads=1).predict(black, ignore_progress)
    assert abs(answers.sum() - 1) > 0.05  # each of 144 columns is rounded to a step of 1 / 256
    classes = tuple(f"class {number}" for number in range(answers.size))
    output = OutputSpec(kind="softmax", classes=classes)
    assert load_teacher(source, output, tmp_path).output == output


def test_a_softmax_that_is_declared_logits_is_refused(tmp_path):
    source = write_flatbuffer(tmp_path, softmax_of_means)
    output = OutputSpec(kind="logits", classes=SOFTMAX.classes)
    with pytest.raises(PupilaError, match="looks like a softmax: set `output: softmax`"):
        load_teacher(source, output, tmp_path)
