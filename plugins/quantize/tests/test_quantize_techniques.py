from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from pupila import PupilaError
from pupila.litert.packing import repack
from pupila.plugin_registry import installed
from pupila.predictions import open_model
from pupila.task import answers_of_outputs
from pupila.testing import TechniqueContract, ignore_progress, run_step, step_for
from pupila_quantize import techniques


class TestQuantizeFloat16(TechniqueContract):
    plugin = "quantize-float16"


class TestQuantizeDynamic(TechniqueContract):
    plugin = "quantize-dynamic"


class TestQuantizeInt8(TechniqueContract):
    plugin = "quantize-int8"
    config = {"calibration_images": 8}  # noqa: RUF012 - as the contract documents it


class TestQuantizeInt4(TestQuantizeInt8):
    plugin = "quantize-int4"


class TestQuantizeInt16x8(TestQuantizeInt8):
    plugin = "quantize-int16x8"


class TestQuantizeMixed(TestQuantizeInt8):
    plugin = "quantize-mixed"


def ends(artifact):
    """Return the type of the input and of the output."""
    interpreter = Interpreter(str(artifact.file("model.tflite")))
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert taken["shape_signature"].tolist() == [1, 32, 32, 3]
    return taken["dtype"], given["dtype"]


def largest_difference(artifact, other, images):
    """Return the largest difference of probabilities."""
    answers = [
        answers_of_outputs(
            model.record.output, open_model(model, 1).predict(images, ignore_progress)
        )
        for model in (artifact, other)
    ]
    return np.abs(answers[0] - answers[1]).max()


@pytest.mark.parametrize(
    ("name", "settings", "size", "difference", "dtype"),
    [
        ("quantize-float16", {}, 0.56, 0.002, np.float32),
        ("quantize-dynamic", {}, 0.35, 0.05, np.float32),
        ("quantize-int8", {"io_type": "float"}, 0.37, 0.05, np.float32),
        ("quantize-int8", {"io_type": "int8"}, 0.37, 0.05, np.int8),
        ("quantize-int4", {}, 0.25, 0.2, np.float32),
        ("quantize-int4", {"io_type": "int8"}, 0.25, 0.2, np.int8),
        ("quantize-int4", {"block": 32}, 0.25, 0.2, np.float32),
        ("quantize-int16x8", {}, 0.37, 0.01, np.float32),
        ("quantize-mixed", {"io_type": "int8"}, 0.37, 0.05, np.int8),
    ],
)
def test_a_quantised_model_is_smaller_and_answers_nearly_like_the_float_one(
    name, settings, size, difference, dtype, quantized, float_artifact, test_images
):
    made = quantized(name, **settings).artifact
    assert float_artifact.size_bytes > 1_000_000
    assert made.size_bytes < size * float_artifact.size_bytes
    assert made.record.measured["size_ratio"] == made.size_bytes / float_artifact.size_bytes
    assert 0 < largest_difference(made, float_artifact, test_images) < difference
    assert ends(made) == (dtype, dtype)
    content = made.file("model.tflite").read_bytes()
    assert repack(content) == content, "no vector is in it twice"


def test_parameters_multiplications_and_specs_stay(quantized, float_artifact):
    made, given = quantized("quantize-dynamic").artifact.record, float_artifact.record
    assert (made.parameters, made.macs) == (given.parameters, given.macs)
    assert (made.input, made.output) == (given.input, given.output)


@pytest.mark.parametrize("name", ["quantize-float16", "quantize-dynamic", "quantize-int8"])
def test_the_loader_counts_the_same_as_in_the_float_flatbuffer(
    name, quantized, float_artifact, tmp_path
):
    made = quantized(name).artifact
    source = made.file("model.tflite")
    result = installed().loader(source).load()(source, made.record.output, tmp_path)
    given = float_artifact.record
    assert (result.parameters, result.macs) == (given.parameters, given.macs)


def test_int8_says_how_many_images_it_was_calibrated_on(quantized):
    ran = quantized("quantize-int8", calibration_images=15)
    assert ran.result.measured["calibration_images"] == 15
    assert (15, 15, "calibration images") in ran.progress
    assert ran.progress[-1] == (24, 24, "validation images")


def test_int8_uses_all_images_where_fewer_than_asked_are_there(quantized):
    ran = quantized("quantize-int8", calibration_images=1000)
    assert ran.result.measured["calibration_images"] == 24


def test_int8_leaves_no_operator_in_float_but_the_last_softmax(quantized):
    assert quantized("quantize-int8").result.measured["float_operators"] == {"SOFTMAX": 1}


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
    ("first", "dtype"),
    [("quantize-float16", "float16"), ("quantize-dynamic", "int8"), ("quantize-int8", "int8")],
)
def test_a_quantised_flatbuffer_is_not_quantised_again(
    first, second, dtype, quantized, dataset, store, tmp_path
):
    made = quantized(first).artifact
    plugin = installed().step(second)
    with pytest.raises(PupilaError, match=f"{second} needs a float32 .* {dtype} .*tensors"):
        run_step(plugin, plugin.config(), [made], tmp_path / "2", store=store, dataset=dataset)


def test_nothing_is_printed_on_standard_output(quantized, capfd):
    capfd.readouterr()
    quantized("quantize-int8", calibration_images=10)
    quantized("quantize-float16")
    assert capfd.readouterr().out == ""


def test_int8_without_data_is_refused(float_artifact, tmp_path):
    config = installed().step("quantize-int8").config()
    with pytest.raises(PupilaError, match="given no images"):
        techniques.quantize_int8(step_for(config, [float_artifact], tmp_path))


FORMS = ["quantize-int8", "quantize-int4", "quantize-int16x8", "quantize-mixed"]


@pytest.mark.parametrize("name", FORMS)
def test_a_quantised_model_is_compared_with_the_float_model(
    name, quantized, float_artifact, dataset
):
    validation = dataset.select("validation")
    made = quantized(name).artifact
    pixels = np.asarray(validation.pixels(made.record.input))
    one, other = (
        open_model(model, 1).predict(pixels, ignore_progress).astype(np.float64)
        for model in (float_artifact, made)
    )
    measured = made.record.measured
    labels = [made.record.output.classes.index(name) for name in validation.frame["label"]]
    assert measured["validation_images"] == len(validation)
    assert measured["float_accuracy"] == np.mean(one.argmax(1) == labels)
    assert measured["validation_accuracy"] == np.mean(other.argmax(1) == labels)
    assert measured["agreement"] == np.mean(one.argmax(1) == other.argmax(1))
    assert measured["largest_difference"] == pytest.approx(np.abs(one - other).max(), abs=1e-6)
    assert measured["divergence"] == pytest.approx(
        (one * np.log(one / other)).sum(1).mean(), rel=1e-3
    )


def test_blocks_with_int8_io_are_refused():
    with pytest.raises(ValueError, match="needs `io_type: float`"):
        installed().step("quantize-int4").config.model_validate({"block": 32, "io_type": "int8"})
