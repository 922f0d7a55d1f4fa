from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import convert_object_to_bytearray
from ai_edge_quantizer.utils.tfl_flatbuffer_utils import read_model

from pupila import InputSpec, OutputSpec, PupilaError, keras_files
from pupila.artifact import Origin
from pupila.plugin_registry import installed
from pupila.testing import CLASSES, run_step
from pupila_quantize.graph import check_quantisable

keras = keras_files.import_keras()
layers = keras.layers
FORMS = [
    "quantize-float16",
    "quantize-dynamic",
    "quantize-int8",
    "quantize-int4",
    "quantize-int16x8",
    "quantize-mixed",
]


@pytest.fixture
def attempt(store, dataset, tmp_path):
    """Run a technique on those bytes."""

    def run(name: str, content: bytes, side: int = 32, **settings: Any) -> Any:
        with store.draft() as folder:
            (folder / "model.tflite").write_bytes(content)
            given = store.add(
                folder,
                format="tflite",
                input=InputSpec(height=side, width=side),
                output=OutputSpec(kind="softmax", classes=CLASSES),
                origin=Origin(plugin="test", distribution="test", version="0"),
            )
        plugin = installed().step(name)
        config = plugin.config.model_validate(settings)
        return run_step(plugin, config, [given], tmp_path / "run", store=store, dataset=dataset)

    return run


def altered(artifact, change):
    """Return the bytes of a flatbuffer, changed."""
    model: Any = read_model(str(artifact.file("model.tflite")))
    change(model)
    return bytes(convert_object_to_bytearray(model))


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_with_the_name_of_the_tensor(
    name, value, attempt, float_artifact
):
    named = []

    def spoil(model):
        graph = model.subgraphs[0]
        dense = [operator for operator in graph.operators if len(operator.inputs) == 3][-1]
        tensor = graph.tensors[dense.inputs[1]]
        values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32).copy()
        values[7] = value
        model.buffers[tensor.buffer].data = values.view(np.uint8)
        named.append(tensor.name.decode())

    content = altered(float_artifact, spoil)
    with pytest.raises(PupilaError, match="NaN or infinite") as raised:
        attempt(name, content)
    assert repr(named[0]) in str(raised.value)


@pytest.mark.parametrize("name", FORMS)
def test_a_custom_operator_is_refused_by_its_name(name, attempt, float_artifact):
    def customise(model):
        code = model.operatorCodes[model.subgraphs[0].operators[-1].opcodeIndex]
        code.builtinCode = schema.BuiltinOperator.CUSTOM
        code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = b"FlexStrange"

    with pytest.raises(PupilaError, match=f"{name} cannot .* 'FlexStrange'"):
        attempt(name, altered(float_artifact, customise))


@pytest.mark.parametrize("name", FORMS)
def test_a_flatbuffer_of_another_size_than_its_record_says_is_refused(
    name, attempt, float_artifact
):
    content = float_artifact.file("model.tflite").read_bytes()
    with pytest.raises(PupilaError, match=r"takes \[1, 32, 32, 3\], .* says \[1, 48, 48, 3\]"):
        attempt(name, content, side=48)


@pytest.mark.parametrize("settings", [{}, {"block": 32}])
def test_four_bits_need_a_convolution_or_a_dense_layer(settings, attempt):
    image = keras.Input((32, 32, 3), batch_size=1)
    pooled = layers.GlobalAveragePooling2D()(layers.DepthwiseConv2D(3)(image))
    model = keras.Model(image, layers.Softmax()(pooled))
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    with pytest.raises(PupilaError, match=r"no CONV_2D and no FULLY_CONNECTED.*quantize-int8"):
        attempt("quantize-int4", content, **settings)


def test_a_single_infinite_number_is_not_a_weight(float_artifact, tmp_path):
    def add_number(model):
        model.buffers.append(schema.BufferT())
        model.buffers[-1].data = np.array([-np.inf], np.float32).view(np.uint8)
        tensor: Any = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = b"least", [], len(model.buffers) - 1
        model.subgraphs[0].tensors.append(tensor)

    path = tmp_path / "model.tflite"
    path.write_bytes(altered(float_artifact, add_number))
    check_quantisable(path, "quantize-int8", (32, 32, 3))
