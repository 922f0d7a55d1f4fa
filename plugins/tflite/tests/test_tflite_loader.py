from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pupila import OutputContract, PupilaError
from pupila.registry import installed
from pupila_tflite.loader import load

SOFTMAX = OutputContract(kind="softmax", classes=("glaucoma", "normal", "other"))


def written(tmp_path, function, shape=(1, 8, 6, 3), name="given.tflite"):
    """Write the flatbuffer of one TensorFlow function."""
    module: Any = tf.Module()
    module.function = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.function.get_concrete_function()], module
    )
    path = tmp_path / name
    path.write_bytes(converter.convert())
    return path


def loaded(source, output, tmp_path):
    folder = tmp_path / "loaded"
    folder.mkdir()
    return load(source, output, folder)


def test_a_flatbuffer_is_taken_as_it_is(exported, tmp_path):
    artifact = exported("conv_and_norm")
    source = artifact.file("model.tflite")
    product = loaded(source, SOFTMAX, tmp_path)
    assert (tmp_path / "loaded" / "model.tflite").read_bytes() == source.read_bytes()
    assert product.input == artifact.record.input
    assert (product.parameters, product.macs) == (artifact.record.parameters, artifact.record.macs)
    assert product.measured == {"input_type": "float32", "output_type": "float32"}


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
    source = written(tmp_path, lambda x: tf.nn.softmax(x[:, 0, 0, :]), (None, 8, 6, 3))
    product = loaded(source, SOFTMAX, tmp_path)
    assert (product.input.height, product.input.width) == (8, 6)


@pytest.mark.parametrize(("kind", "kernel"), [("sigmoid", 1), ("logits", 3), ("softmax", 3)])
def test_every_kind_of_output_is_taken_where_it_is_declared(kind, kernel, tmp_path):
    activate = {"sigmoid": tf.sigmoid, "logits": tf.identity, "softmax": tf.nn.softmax}[kind]
    source = written(tmp_path, lambda x: activate(x[:, 0, 0, :kernel] / 99))
    output = OutputContract(kind=kind, classes=SOFTMAX.classes[: max(2, kernel)])
    assert loaded(source, output, tmp_path).output == output


@pytest.mark.parametrize(
    ("function", "shape", "message"),
    [
        (lambda x: x[:, 0, 0, :], (2, 8, 6, 3), "takes .2, 8, 6, 3"),
        (lambda x: x[:, 0, 0, :], (1, 8, 6, 4), "takes .1, 8, 6, 4"),
        (lambda x: x[:, 0, 0, :], (1, None, None, 3), "takes .1, -1, -1, 3"),
        (lambda x: x[:, 0, :], (1, 8, 3), "takes .1, 8, 3"),
        (lambda x: x[:, 0, 0, :2], (1, 8, 6, 3), r"gives \(1, 2\).*is \(1, 3\)"),
        (lambda x: (x[:, 0, 0, :], x[:, 1, 0, :]), (1, 8, 6, 3), "exactly one output"),
        (lambda x: x[:, 0, 0, :], (1, 8, 6, 3), "numbers from 0 to 255, which is no softmax"),
        (lambda x: x[:, 0, 0, :] / 255, (1, 8, 6, 3), "columns that sum to 0, which is no"),
        (lambda x: x[:, 0, 0, :] / 0, (1, 8, 6, 3), "numbers that are not finite"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(function, shape, message, tmp_path):
    source = written(tmp_path, function, shape)
    with pytest.raises(PupilaError, match=message):
        loaded(source, SOFTMAX, tmp_path)
    assert list((tmp_path / "loaded").iterdir()) == []


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.999])
def test_a_truncated_file_is_refused_by_name(kept, exported, tmp_path):
    content = exported("conv_and_norm").file("model.tflite").read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(PupilaError, match=r"LiteRT .* cannot run .*cut\.tflite"):
        loaded(cut, SOFTMAX, tmp_path)


def test_a_corrupted_file_is_refused_or_runs_but_never_crashes(exported, tmp_path):
    content = exported("conv_and_norm").file("model.tflite").read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for number in range(20):
        broken = bytearray(content)
        for place in random.integers(8, len(content), 40):
            broken[place] = random.integers(0, 256)
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
