"""Keras models and TFLite files give the same answers as ONNX files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from pupila import InputSpec, OutputSpec, PupilaError, keras_files
from pupila.artifact import Origin
from pupila.plugin_registry import installed
from pupila.predictions import open_model
from pupila.testing import DiscSteps, ExporterContract, ignore_progress, run_step, step_for
from pupila.testing import store_model as store_keras
from pupila_onnx import export as exporting
from pupila_onnx.config import ExportOnnx
from pupila_onnx.graph import Graph


class TestExportOnnx(ExporterContract):
    plugin = "export-onnx"
    tolerance = 1e-5


def graph_of(artifact: Any) -> Any:
    return onnx.load(artifact.file("model.onnx")).graph


def operators(artifact: Any) -> set[str]:
    return {node.op_type for node in graph_of(artifact).node}


def test_the_file_takes_any_number_of_raw_images_channels_last(onnx_model):
    (image,), (output,) = graph_of(onnx_model).input, graph_of(onnx_model).output
    assert (image.name, output.name) == ("image", "output")
    axes = [axis.dim_param or axis.dim_value for axis in image.type.tensor_type.shape.dim]
    assert axes == ["batch", 32, 32, 3]
    assert image.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_it_is_one_file_that_onnx_finds_valid(onnx_model):
    assert [file.name for file in onnx_model.files] == ["model.onnx"]
    onnx.checker.check_model(str(onnx_model.file("model.onnx")), full_check=True)


@pytest.mark.parametrize("opset", [13, 18])
def test_the_opset_is_the_one_that_was_set(opset, steps):
    exported = steps.make("export-onnx", steps.student, opset=opset)
    (imported,) = onnx.load(exported.file("model.onnx")).opset_import
    assert (imported.domain, imported.version) == ("", opset)
    np.testing.assert_allclose(steps.answers(exported), steps.answers(steps.student), atol=1e-5)


def test_weights_and_multiplications_can_be_counted_in_the_file(steps, onnx_model):
    record, given = onnx_model.record, steps.student.record
    assert (record.parameters, record.macs) == (given.parameters, given.macs)
    graph = Graph(onnx.load(onnx_model.file("model.onnx")))
    normalisation = 4 * 8  # four numbers per channel become part of the kernel and its bias
    zeros = 8 + 16 + 2  # biases of a model that was never trained are left out
    scaling = 2  # the scale and the offset of the preprocessing are constants of the graph too
    assert graph.parameters == given.parameters - normalisation - zeros + scaling
    assert graph.macs == given.macs


def test_a_float_flatbuffer_gives_the_same_answers(steps):
    exported = steps.make("export-onnx", steps.tflite)
    np.testing.assert_allclose(steps.answers(exported), steps.answers(steps.student), atol=1e-5)
    assert Graph(onnx.load(exported.file("model.onnx"))).macs == steps.student.record.macs


@pytest.mark.parametrize("name", ["quantize-int8", "quantize-mixed"])
def test_an_int8_flatbuffer_gives_the_same_answers_with_the_same_scales(name, steps):
    quantized = steps.quantized(name)
    exported = steps.make("export-onnx", quantized)
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators(exported)
    np.testing.assert_allclose(steps.answers(exported), steps.answers(quantized), atol=5e-3)
    graph = Graph(onnx.load(exported.file("model.onnx")))
    assert graph.macs == exported.record.macs == quantized.record.macs
    kernels = {tensor.data_type for tensor in graph_of(exported).initializer if tensor.dims[3:]}
    assert kernels == {onnx.TensorProto.INT8}


def test_a_flatbuffer_of_int8_weights_keeps_them(steps):
    quantized = steps.quantized("quantize-dynamic")
    exported = steps.make("export-onnx", quantized)
    assert "QuantizeLinear" not in operators(exported), "activations stay in float"
    np.testing.assert_allclose(steps.answers(exported), steps.answers(quantized), atol=0.02)


def test_a_flatbuffer_of_integer_ends_is_refused_with_the_setting_to_change(steps):
    quantized = steps.make("quantize-int8", steps.tflite, io_type="int8", calibration_images=16)
    with pytest.raises(PupilaError, match=r"takes int8 and gives int8.*`io_type: float`"):
        steps.make("export-onnx", quantized)


def test_a_type_that_onnx_lacks_is_refused_in_one_sentence(steps):
    quantized = steps.quantized("quantize-int16x8")
    with pytest.raises(PupilaError, match=r"ONNX|tf2onnx") as refused:
        steps.make("export-onnx", quantized)
    assert "\n" not in str(refused.value)


def test_an_operation_without_counterpart_is_refused_by_name(steps, tmp_path):
    keras = keras_files.import_keras()
    image = keras.Input((32, 32, 3))
    spectrum = keras.ops.fft2((image, keras.ops.zeros_like(image)))[0]
    pooled = keras.layers.GlobalAveragePooling2D()(spectrum)
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(pooled))
    with pytest.raises(PupilaError, match=r"FFT2D"):
        steps.make("export-onnx", store_keras(steps.store, model))


def test_other_answers_are_refused_with_the_difference(steps, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_TOLERANCE", -1.0)
    step = step_for(ExportOnnx(), [steps.student], tmp_path)
    with pytest.raises(PupilaError, match=r"outputs differ .* by up to .* on 6 drawn"):
        exporting.export(step)


def test_nothing_is_printed_and_scratch_is_left_empty(steps, tmp_path, capfd):
    step = step_for(ExportOnnx(), [steps.tflite], tmp_path)
    capfd.readouterr()
    exporting.export(step)
    assert capfd.readouterr().out == ""
    assert [path.name for path in step.output.iterdir()] == ["model.onnx"]
    assert list(step.scratch.iterdir()) == []


@pytest.mark.slow
def test_a_heat_map_and_its_int8_form_are_exported(tmp_path: Path):
    discs = DiscSteps(tmp_path)
    exported = discs.run("export-onnx").artifact
    assert exported.record.output == discs.student.record.output
    assert discs.detection_rate(discs.student) > 0.9
    assert discs.shift(exported) < 1e-3
    flatbuffer = discs.run("export-tflite").artifact
    quantized = discs.run("quantize-int8", flatbuffer, calibration_images=12).artifact
    assert discs.shift(discs.run("export-onnx", quantized).artifact, quantized) < 0.5


TEACHERS = {
    "squeezenet.keras": ("softmax", 1e-5),
    "efficientnet_lite0_seed2.keras": ("softmax", 1e-5),
    "vgg16_nested.h5": ("softmax", 1e-5),
}


@pytest.mark.long
@pytest.mark.parametrize("name", TEACHERS)
def test_a_real_teacher_answers_as_in_keras(name, steps, tmp_path):
    folder = os.environ.get("PUPILA_TEACHERS")
    if not folder:
        pytest.skip("PUPILA_TEACHERS names no folder")
    source, (kind, tolerance) = Path(folder) / name, TEACHERS[name]
    output = OutputSpec(kind=kind, classes=("glaucoma", "normal"))
    loader = installed().loader(source)
    with steps.store.draft() as written:
        loaded = loader.load()(source, output, written)
        origin = Origin(plugin=loader.name, distribution="test", version="0")
        teacher = steps.store.add(written, **vars(loaded), origin=origin)
    plugin = installed().step("export-onnx")
    exported = run_step(
        plugin, plugin.config(), [teacher], tmp_path / "run", store=steps.store
    ).artifact
    spec: InputSpec = teacher.record.input
    images = np.random.default_rng(0).integers(0, 256, (4, *spec.shape), np.uint8)
    given, made = (
        open_model(model).predict(images, ignore_progress) for model in (teacher, exported)
    )
    np.testing.assert_allclose(made, given, atol=tolerance)
    assert Graph(onnx.load(exported.file("model.onnx"))).macs == teacher.record.macs
