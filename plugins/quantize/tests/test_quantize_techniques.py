from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from pupila import PupilaError
from pupila.predictions import open_model
from pupila.registry import installed
from pupila.testing import TechniqueContract, ignore_progress, run_step, step_for
from pupila_quantize import techniques


class TestQuantizeFloat16(TechniqueContract):
    plugin = "quantize-float16"


class TestQuantizeDynamic(TechniqueContract):
    plugin = "quantize-dynamic"


class TestQuantizeInt8(TechniqueContract):
    plugin = "quantize-int8"
    config = {"calibration_images": 8}  # noqa: RUF012 - as the contract documents it


def ends(artifact):
    """Return the type of the input and of the output."""
    interpreter = Interpreter(str(artifact.file("model.tflite")))
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert taken["shape_signature"].tolist() == [1, 32, 32, 3]
    return taken["dtype"], given["dtype"]


def largest_difference(artifact, other, images):
    answers = [open_model(each, 1).predict(images, ignore_progress) for each in (artifact, other)]
    return np.abs(answers[0] - answers[1]).max()


@pytest.mark.parametrize(
    ("name", "settings", "size", "difference", "border"),
    [
        ("quantize-float16", {}, 0.56, 0.002, np.float32),
        ("quantize-dynamic", {}, 0.35, 0.05, np.float32),
        ("quantize-int8", {"borders": "float"}, 0.37, 0.05, np.float32),
        ("quantize-int8", {"borders": "int8"}, 0.37, 0.05, np.int8),
    ],
)
def test_a_form_is_smaller_and_answers_nearly_as_the_float_one(
    name, settings, size, difference, border, quantized, float_artifact, test_images
):
    made = quantized(name, **settings).artifact
    assert float_artifact.size_bytes > 1_000_000
    assert made.size_bytes < size * float_artifact.size_bytes
    assert made.record.measured["size_ratio"] == made.size_bytes / float_artifact.size_bytes
    assert 0 < largest_difference(made, float_artifact, test_images) < difference
    assert ends(made) == (border, border)


def test_parameters_multiplications_and_contracts_stay(quantized, float_artifact):
    made, given = quantized("quantize-dynamic").artifact.record, float_artifact.record
    assert (made.parameters, made.macs) == (given.parameters, given.macs)
    assert (made.input, made.output) == (given.input, given.output)


@pytest.mark.parametrize("name", ["quantize-float16", "quantize-dynamic", "quantize-int8"])
def test_the_loader_counts_in_a_form_what_it_counts_in_the_float_flatbuffer(
    name, quantized, float_artifact, tmp_path
):
    # buffers of this size lie behind the flatbuffer, not in it
    made = quantized(name).artifact
    source = made.file("model.tflite")
    product = installed().loader(source).load()(source, made.record.output, tmp_path)
    given = float_artifact.record
    assert (product.parameters, product.macs) == (given.parameters, given.macs)


def test_int8_says_how_many_images_it_was_calibrated_on(quantized):
    ran = quantized("quantize-int8", calibration_images=15)
    assert ran.product.measured["calibration_images"] == 15
    assert ran.progress[-1] == (15, 15, "calibration images")


def test_int8_uses_all_images_where_fewer_than_asked_are_there(quantized):
    ran = quantized("quantize-int8", calibration_images=1000)
    assert ran.product.measured["calibration_images"] == 24


def test_int8_leaves_no_operator_in_float(quantized):
    assert quantized("quantize-int8").product.measured["float_operators"] == {}


def test_one_seed_gives_one_file(quantized, tmp_path):
    first = quantized("quantize-int8", calibration_images=12, seed=1).artifact
    (tmp_path / "quantize-int8").rename(tmp_path / "before")
    again = quantized("quantize-int8", calibration_images=12, seed=1).artifact
    assert first.record.files == again.record.files


def test_another_seed_calibrates_on_other_images(quantized, tmp_path):
    first = quantized("quantize-int8", calibration_images=12, seed=1).artifact
    (tmp_path / "quantize-int8").rename(tmp_path / "before")
    other = quantized("quantize-int8", calibration_images=12, seed=2).artifact
    assert first.record.files != other.record.files


@pytest.mark.parametrize("second", ["quantize-float16", "quantize-dynamic", "quantize-int8"])
@pytest.mark.parametrize(
    ("first", "found"),
    [("quantize-float16", "float16"), ("quantize-dynamic", "int8"), ("quantize-int8", "int8")],
)
def test_a_quantised_flatbuffer_is_not_quantised_again(
    first, second, found, quantized, dataset, store, tmp_path
):
    made = quantized(first).artifact
    plugin = installed().step(second)
    with pytest.raises(PupilaError, match=f"{second} needs a float32 .* {found} .*tensors"):
        run_step(plugin, plugin.config(), [made], tmp_path / "2", store=store, dataset=dataset)


def test_nothing_is_printed_on_standard_output(quantized, capfd):
    capfd.readouterr()
    quantized("quantize-int8", calibration_images=10)
    quantized("quantize-float16")
    assert capfd.readouterr().out == ""


def test_int8_without_data_is_refused(float_artifact, tmp_path):
    config = installed().step("quantize-int8").config()
    with pytest.raises(PupilaError, match="given no data"):
        techniques.quantize_int8(step_for(config, [float_artifact], tmp_path))
