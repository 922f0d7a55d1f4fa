from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from pupila import Config, PupilaError, keras_files
from pupila.plugin_registry import installed
from pupila.predictions import open_model
from pupila.store import Store
from pupila.testing import ExporterContract, ignore_progress, run_step, step_for, store_model
from pupila.testing.attention import ATTENTION_KINDS, attention_model
from pupila_tflite import export as exporting


class TestExportTflite(ExporterContract):
    plugin = "export-tflite"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("conv_and_norm", "softmax"),
        ("depthwise", "logits"),
        ("dense", "sigmoid"),
        ("transposed", "softmax"),
    ],
)
def test_litert_gives_the_same_outputs_as_keras(body, kind, keras_model, exported, images):
    model = keras_model(body, kind)
    with_litert = open_model(exported(body, kind)).predict(images, ignore_progress)
    with_keras = model.predict(images.astype(np.float32), verbose=0)
    assert with_litert.shape == with_keras.shape
    assert np.ptp(with_keras) > 0.01
    np.testing.assert_allclose(with_litert, with_keras, atol=1e-4)


@pytest.mark.parametrize("kind", ATTENTION_KINDS)
def test_attention_has_the_same_outputs_and_macs_as_in_keras(kind, store, tmp_path):
    model, plugin = attention_model(kind), installed().step("export-tflite")
    given = store_model(store, model)
    exported = run_step(plugin, Config(), [given], tmp_path / "run", store=store).artifact
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    with_litert = open_model(exported).predict(images, ignore_progress)
    with_keras = model.predict(images.astype(np.float32), verbose=0)
    assert np.ptp(with_keras) > 0.01
    np.testing.assert_allclose(with_litert, with_keras, atol=1e-4)
    constant = 16 * 16 if kind == "transformer" else 0  # the class token: the converter computes it
    assert (exported.record.macs or 0) + constant == keras_files.macs(model)


def test_the_measured_difference_is_reported(exported):
    measured = exported("conv_and_norm").record.measured
    assert 0 <= measured["max_difference"] < 1e-4
    assert measured["probe_images"] == 6


def test_the_batch_is_fixed_at_one_and_input_and_output_are_float(exported):
    interpreter = Interpreter(str(exported("conv_and_norm").file("model.tflite")))
    (first,), (last,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert first["shape_signature"].tolist() == [1, 24, 20, 3]
    assert last["shape_signature"].tolist() == [1, 3]
    assert (first["dtype"], last["dtype"]) == (np.float32, np.float32)


def test_nothing_is_printed_on_standard_output(keras_model, stored, tmp_path, capfd):
    step = step_for(Config(), [stored(keras_model("dense"))], tmp_path)
    capfd.readouterr()
    exporting.export(step)
    assert capfd.readouterr().out == ""


def test_scratch_is_left_empty(keras_model, stored, tmp_path):
    step = step_for(Config(), [stored(keras_model("dense"))], tmp_path)
    exporting.export(step)
    assert [path.name for path in step.output.iterdir()] == ["model.tflite"]
    assert list(step.scratch.iterdir()) == []


def test_a_flatbuffer_with_other_outputs_is_refused_with_the_difference(
    keras_model, stored, tmp_path, monkeypatch
):
    monkeypatch.setattr(exporting, "_TOLERANCE", -1.0)
    step = step_for(Config(), [stored(keras_model("dense"))], tmp_path)
    with pytest.raises(PupilaError, match=r"outputs differ .* by up to .* on 6 drawn"):
        exporting.export(step)


def test_a_savedmodel_of_any_batch_is_exported_with_a_batch_of_one(
    keras_model, stored, store, images, tmp_path
):
    model = keras_model("conv_and_norm")

    def write(model, folder):
        model.export(folder, format="tf_saved_model", verbose=False)

    artifact = stored(model, format="savedmodel", write=write)
    plugin = installed().step("export-tflite")
    exported_artifact = run_step(
        plugin, plugin.config(), [artifact], tmp_path / "run", store=store
    ).artifact
    answers = open_model(exported_artifact).predict(images, ignore_progress)
    expected = model.predict(images.astype(np.float32), verbose=0)
    np.testing.assert_allclose(answers, expected, atol=1e-4)


def test_a_savedmodel_of_two_outputs_is_refused(stored, tmp_path):
    def write(_, folder):
        module: Any = tf.Module()
        spec = tf.TensorSpec((None, 24, 20, 3), tf.float32)
        module.serve = tf.function(lambda x: {"a": x, "b": x}, input_signature=[spec])
        tf.saved_model.save(module, str(folder), signatures=module.serve)

    step = step_for(Config(), [stored(None, format="savedmodel", write=write)], tmp_path)
    with pytest.raises(PupilaError, match="1 inputs and gives 2 outputs"):
        exporting.export(step)


def test_weights_and_multiplications_are_those_that_keras_counts(keras_model, exported):
    record = exported("dense").record
    scaling = 2  # the scale and the offset of the preprocessing are constants of the graph too
    assert record.parameters == keras_files.parameters(keras_model("dense")) + scaling
    assert record.macs == keras_files.macs(keras_model("dense"))


@pytest.mark.parametrize("body", ["conv_and_norm", "depthwise", "transposed"])
def test_multiplications_of_convolutions_are_those_that_keras_counts(body, keras_model, exported):
    assert exported(body).record.macs == keras_files.macs(keras_model(body))


def test_the_runtime_is_named_with_its_version(exported):
    runtime = open_model(exported("conv_and_norm")).runtime
    assert runtime == f"LiteRT {version('ai-edge-litert')}, XNNPACK"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            lambda layers, x: layers.Resizing(8, 8, interpolation="bicubic", name="sharp")(x),
            "ResizeBicubic (in sharp",
        ),
        (lambda layers, x: layers.Conv2D(3, 3, dtype="float64", name="wide")(x), "Conv2D (in wide"),
    ],
)
def test_an_operation_that_litert_lacks_is_named_with_its_layer(body, said, tmp_path):
    keras = keras_files.import_keras()
    image = keras.Input((24, 20, 3))
    features = keras.layers.GlobalAveragePooling2D()(body(keras.layers, image))
    model = keras.Model(image, keras.layers.Dense(3, "softmax", dtype="float32")(features))
    artifact = store_model(Store(tmp_path / "store"), model, ("a", "b", "c"))
    plugin = installed().step("export-tflite")
    with pytest.raises(PupilaError) as refused:
        run_step(plugin, Config(), [artifact], tmp_path / "step", store=Store(tmp_path / "store"))
    assert said in str(refused.value)
    assert len(str(refused.value)) < 300
