"""A repacked flatbuffer holds the same model, with the same outputs, in fewer bytes."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from pupila.keras_files import import_keras, import_tensorflow
from pupila.litert.flatbuffer import parse_model
from pupila.litert.interpreter import Interpreter
from pupila.litert.packing import repack
from pupila.testing import ignore_progress

schema: Any = import_module("ai_edge_litert.schema_py_generated")
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Save a net with three convolutions of 24 channels, and one of 48."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((16, 16, 3), batch_size=1, name="image")
    x = layers.Conv2D(24, 3, activation="relu6")(layers.Rescaling(1 / 255)(image))
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Conv2D(48, 1, activation="relu")(x)
    x = layers.Conv2D(24, 1, bias_initializer="random_normal")(x)
    x = layers.Dense(3, name="answer")(layers.GlobalAveragePooling2D()(x))
    folder = str(tmp_path_factory.mktemp("saved"))
    keras.Model(image, x).export(folder, verbose=False)
    return folder


@pytest.fixture(scope="module", params=["float", "int8", "int8 at both ends"])
def content(request: pytest.FixtureRequest, saved: str) -> bytes:
    """Return what TensorFlow's converter wrote."""
    tf = import_tensorflow()
    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    if request.param != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None].astype("f4")] for image in IMAGES)
    if request.param == "int8 at both ends":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def unpacked(content: bytes) -> Any:
    return schema.ModelT.InitFromObj(parse_model(content))


def as_plain(value: Any) -> Any:
    """Return the content of a model as plain values."""
    match value:
        case np.ndarray():
            return value.tolist()
        case [*items]:
            return [as_plain(item) for item in items]
        case object(__dict__=fields):
            return {key: as_plain(field) for key, field in fields.items()}
        case _:
            return value


def inner_tensors(model: Any) -> list[Any]:
    (graph,) = model.subgraphs
    ends = {*graph.inputs, *graph.outputs}
    return [tensor for number, tensor in enumerate(graph.tensors) if number not in ends]


def test_only_the_names_of_inner_tensors_change(content: bytes) -> None:
    before, after = unpacked(content), unpacked(repack(content))
    names = [tensor.name for tensor in inner_tensors(after)]
    assert len(set(names)) == len(names) and max(map(len, names)) <= 2
    for tensor in [*inner_tensors(before), *inner_tensors(after)]:
        tensor.name = None
    assert as_plain(after) == as_plain(before)


@pytest.mark.parametrize("reference_kernels", [False, True], ids=["xnnpack", "reference"])
def test_outputs_are_the_same_bit_for_bit(content: bytes, reference_kernels: bool) -> None:
    models = [
        Interpreter(flatbuffer, threads=1, reference_kernels=reference_kernels)
        for flatbuffer in (content, repack(content))
    ]
    assert [model.is_delegated for model in models] == [not reference_kernels] * 2
    before, after = (model.predict(IMAGES, ignore_progress) for model in models)
    assert np.ptp(before, axis=0).min() > 0
    np.testing.assert_array_equal(after, before)


def test_names_of_signatures_inputs_and_outputs_stay(content: bytes) -> None:
    litert: Any = import_module("ai_edge_litert.interpreter")
    before, after = (
        litert.Interpreter(model_content=flatbuffer) for flatbuffer in (content, repack(content))
    )
    assert after.get_signature_list() == before.get_signature_list()
    assert len(after.get_signature_list()) == 1
    for ends in ("get_input_details", "get_output_details"):
        names = [[detail["name"] for detail in getattr(model, ends)()] for model in (before, after)]
        assert names[0] == names[1] and all(names[0])


def test_equal_vectors_are_written_once(content: bytes) -> None:
    def offsets(content: bytes) -> Counter[int]:
        """Count how many tensors refer to each vector of zero points."""
        graph = parse_model(content).Subgraphs(0)
        tables = (graph.Tensors(number).Quantization() for number in range(graph.TensorsLength()))
        return Counter(
            table._tab.Vector(table._tab.Offset(10))
            for table in tables
            if table and table.ZeroPointLength()
        )

    before, after = offsets(content), offsets(repack(content))
    assert before.total() == after.total()
    assert len(before) == before.total(), "the converter writes every one"
    if before:
        assert max(after.values()) >= 6, "kernel and bias of three layers"
        assert len(repack(content)) < 0.85 * len(content)
    assert len(repack(content)) < len(content)


def test_every_constant_starts_at_a_multiple_of_16_bytes(content: bytes) -> None:
    model = parse_model(repack(content))
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    offsets = [
        buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if buffer.DataLength()
    ]
    assert len(offsets) >= 8
    assert {offset % 16 for offset in offsets} == {0}


def test_repacking_again_gives_the_same_file(content: bytes) -> None:
    assert repack(content) == repack(content) == repack(repack(content))
