from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pupila import PupilaError
from pupila.predictions import open_model
from pupila.testing import RunnerContract, ignore_progress
from pupila_tflite.runner import LiteRTModel


class TestLiteRTKeepsTheContract(RunnerContract):
    plugin = "litert"


@pytest.fixture
def integer_flatbuffer(keras_model, images, tmp_path):
    """Quantise with TensorFlow's own converter: the runner must read any flatbuffer."""

    def make(dtype):
        converter = tf.lite.TFLiteConverter.from_keras_model(keras_model("conv_and_norm"))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [image[np.newaxis].astype(np.float32)] for image in images
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = dtype
        path = tmp_path / f"{dtype.name}.tflite"
        path.write_bytes(converter.convert())
        return path

    return make


@pytest.mark.parametrize("dtype", [tf.int8, tf.uint8])
def test_an_integer_input_and_output_is_used_like_a_float_one(
    dtype, integer_flatbuffer, keras_model, images
):
    model = LiteRTModel(integer_flatbuffer(dtype), threads=1)
    assert (model.input.dtype.name, model.output.dtype.name) == (dtype.name, dtype.name)
    answers = model.predict(images, ignore_progress)
    expected = keras_model("conv_and_norm").predict(images.astype(np.float32), verbose=0)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, expected, atol=0.05)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=0.02)


def test_progress_counts_the_images(exported, images):
    reports = []

    def listen(done: int, total: int, what: str):
        reports.append((done, total, what))

    open_model(exported("dense")).predict(images, listen)
    assert reports == [(done, len(images), "images") for done in range(1, len(images) + 1)]


_OPEN_ALONE = """
import sys
from pathlib import Path
import numpy as np
from pupila_tflite.runner import LiteRTModel
model = LiteRTModel(Path(sys.argv[1]), 1)
model.predict(np.zeros((1, 24, 20, 3), np.uint8), lambda *call: None)
print([name for name in ("tensorflow", "keras", "jax") if name in sys.modules])
print(model.peak_memory_bytes())
"""


@pytest.fixture
def opened_alone(exported):
    """Return what a process that only runs a flatbuffer prints."""
    path = exported("dense").file("model.tflite")
    command = [sys.executable, "-c", _OPEN_ALONE, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_running_a_flatbuffer_imports_no_tensorflow(opened_alone):
    assert opened_alone[0] == "[]"


def test_the_memory_of_the_parent_process_does_not_count(opened_alone):
    assert 20e6 < int(opened_alone[1]) < 250e6  # this process, with TensorFlow, has far more


_REFUSE = """
import sys
from pathlib import Path
from pupila import PupilaError
from pupila_tflite.runner import LiteRTModel
try:
    LiteRTModel(Path(sys.argv[1]), 1)
except PupilaError as error:
    print(error)
"""


def test_a_flatbuffer_with_operators_that_litert_lacks_is_refused_with_its_reason(tmp_path):
    module: Any = tf.Module()
    module.function = tf.function(
        lambda image: tf.linalg.det(tf.matmul(image[..., 0], image[..., 1]))[:, None],
        input_signature=[tf.TensorSpec((1, 8, 8, 3), tf.float32)],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.function.get_concrete_function()], module
    )
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    path = tmp_path / "flex.tflite"
    path.write_bytes(converter.convert())
    # in this process, where TensorFlow is loaded, LiteRT would use its operators
    command = [sys.executable, "-c", _REFUSE, str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"flex\.tflite.*FlexMatrixDeterminant.*not LiteRT's own", said)


def test_a_file_that_is_not_a_flatbuffer_is_refused_with_the_reason(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\0\0\0\0TFL3 and then nothing")
    with pytest.raises(PupilaError, match=r"LiteRT .* cannot run .*model\.tflite.*Flatbuffer"):
        LiteRTModel(path, threads=1)
