"""Models of a few operators, written by hand: reading them and running them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pupila.errors import PupilaError
from pupila.litert.flatbuffer import (
    ABSENT,
    Operator,
    check_model,
    custom_operators,
    is_quantized,
    map_model,
    operator_name,
    operators,
    parse_model,
    subgraphs,
    tensor_type,
    tensors,
)
from pupila.litert.interpreter import Interpreter
from pupila.litert.tensor_io import TensorIO, read_signature, read_tensor_io
from pupila.testing import ignore_progress

schema: Any = import_module("ai_edge_litert.schema_py_generated")
flatbuffers: Any = import_module("flatbuffers")

RESHAPE, CUSTOM, CUMSUM = 22, 32, 128
IMAGES = np.arange(36, dtype=np.uint8).reshape(2, 2, 3, 3)

Quantization = tuple[float, int] | None
"""Scale and zero point."""


def tensor(shape: Sequence[int], kind: str, quantization: Quantization) -> Any:
    made = schema.TensorT()
    made.shape, made.type, made.buffer, made.name = (
        list(shape),
        getattr(schema.TensorType, kind),
        0,
        "t",
    )
    if quantization:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = [quantization[0]]
        made.quantization.zeroPoint = [quantization[1]]
    return made


def operator(code: int, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = code, list(inputs), list(outputs)
    return made


def operator_code(builtin: int, deprecated: int, custom: str | None = None) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode, made.deprecatedBuiltinCode, made.customCode = builtin, deprecated, custom
    made.version = 1
    return made


def serialise(graphs: Sequence[Any], codes: Sequence[Any]) -> bytes:
    model = schema.ModelT()
    model.version, model.buffers = 3, [schema.BufferT()]
    model.subgraphs, model.operatorCodes = list(graphs), list(codes)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def graph(tensors: Sequence[Any], operators: Sequence[Any], outputs: Sequence[int]) -> Any:
    made = schema.SubGraphT()
    made.tensors, made.operators = list(tensors), list(operators)
    made.inputs, made.outputs = [0], list(outputs)
    return made


def flattening(kind: str, quantization: Quantization) -> bytes:
    """Return a model that outputs the 18 numbers of its image, through a third tensor."""
    shapes = ((1, 2, 3, 3), (1, 6, 3), (1, 18))
    steps = [operator(0, [0], [1]), operator(0, [1], [2])]
    for step, shape in zip(steps, shapes[1:], strict=True):
        step.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
        step.builtinOptions = schema.ReshapeOptionsT()
        step.builtinOptions.newShape = list(shape)
    made = graph([tensor(shape, kind, quantization) for shape in shapes], steps, [2])
    return serialise([made], [operator_code(RESHAPE, RESHAPE)])


@pytest.mark.parametrize(
    ("code", "deprecated", "name"),
    [
        (RESHAPE, RESHAPE, "RESHAPE"),
        (0, RESHAPE, "RESHAPE"),
        (CUMSUM, 127, "CUMSUM"),
        (0, 0, "ADD"),
        (9999, 127, "BuiltinOperator 9999"),
    ],
    ids=["both fields", "before 2020", "beyond the narrow field", "zero", "unknown"],
)
def test_an_operator_has_its_name_whichever_field_states_its_code(
    code: int, deprecated: int, name: str
):
    assert operator_name(code, deprecated) == name


def test_operators_are_read_in_order_with_their_tensors():
    kinds = [("FLOAT32", None), ("INT8", (0.5, 3)), ("INT32", None)]
    main = graph(
        [tensor((1, 2), kind, quantization) for kind, quantization in kinds],
        [operator(0, [0, ABSENT, 2], [1]), operator(1, [1], [2, 0])],
        [1],
    )
    other = graph([tensor((1,), "FLOAT16", None)], [operator(2, [0], [0])], [0])
    codes = [
        operator_code(0, RESHAPE),
        operator_code(CUSTOM, CUSTOM, "TheirOwn"),
        operator_code(CUMSUM, 127),
    ]
    model = parse_model(serialise([main, other], codes))
    first, second = subgraphs(model)
    assert list(operators(model, first)) == [
        Operator(0, "RESHAPE", None, (0, ABSENT, 2), (1,)),
        Operator(1, "CUSTOM", "TheirOwn", (1,), (2, 0)),
    ]
    assert list(operators(model, second)) == [Operator(0, "CUMSUM", None, (0,), (0,))]
    assert [tensor_type(tensor) for tensor in tensors(first)] == ["FLOAT32", "INT8", "INT32"]
    assert [is_quantized(tensor) for tensor in tensors(first)] == [False, True, False]
    assert [tensor_type(tensor) for tensor in tensors(second)] == ["FLOAT16"]
    assert custom_operators(model) == ["TheirOwn"]


def test_a_file_is_read_like_its_content(tmp_path: Path):
    path, content = tmp_path / "model.tflite", flattening("FLOAT32", None)
    path.write_bytes(content)
    models = (map_model(path), parse_model(content))
    mapped, parsed = (list(operators(model, model.Subgraphs(0))) for model in models)
    assert mapped == parsed
    assert [operator.name for operator in mapped] == ["RESHAPE", "RESHAPE"]


@pytest.mark.parametrize("from_disk", [True, False])
@pytest.mark.parametrize("reference_kernels", [True, False])
@pytest.mark.parametrize(
    ("kind", "quantization", "expected"),
    [
        ("FLOAT32", None, IMAGES),
        ("INT8", (1.0, -128), IMAGES),
        ("INT8", (2.0, -128), 2 * np.rint(IMAGES / 2)),
        ("INT8", (0.25, -128), np.minimum(IMAGES, 63.75)),
        ("UINT8", (0.125, 0), np.minimum(IMAGES, 31.875)),
    ],
)
def test_images_are_predicted_one_after_another(
    kind: str,
    quantization: Quantization,
    expected: np.ndarray[Any, Any],
    reference_kernels: bool,
    from_disk: bool,
    tmp_path: Path,
):
    content, path = flattening(kind, quantization), tmp_path / "model.tflite"
    path.write_bytes(content)
    reports: list[tuple[int, int, str]] = []

    def listen(done: int, total: int, what: str) -> None:
        reports.append((done, total, what))

    interpreter = Interpreter(
        path if from_disk else content, threads=1, reference_kernels=reference_kernels
    )
    answers = interpreter.predict(IMAGES, listen, what="pictures")
    assert answers.dtype == np.float32
    np.testing.assert_array_equal(answers, expected.reshape(2, 18))
    assert reports == [(1, 2, "pictures"), (2, 2, "pictures")]


def test_images_are_quantised_in_the_chosen_precision():
    content = flattening("INT8", (254 / 255, -128))
    image = np.full((1, 2, 3, 3), 127, np.uint8)  # 127.5 steps, but for the rounding of the scale
    single, double = (
        Interpreter(content, threads=1).predict(image, ignore_progress, precision=precision)
        for precision in (np.float32, np.float64)
    )
    scale = np.float32(254 / 255)
    assert set(single.flat) == {128 * scale}
    assert set(double.flat) == {127 * scale}


def test_intermediate_tensors_are_kept_on_request():
    interpreter = Interpreter(flattening("INT8", (1.0, -128)), threads=1, keep_all_tensors=True)
    interpreter.run(IMAGES[1])
    stored = interpreter.tensor(1)
    assert (stored.shape, stored.dtype.name) == ((1, 6, 3), "int8")
    np.testing.assert_array_equal(stored.reshape(-1), np.arange(18, 36) - 128)
    np.testing.assert_array_equal(interpreter.values(), np.arange(18, 36))


def test_a_timed_run_is_a_run():
    interpreter = Interpreter(flattening("FLOAT32", None), threads=1)
    interpreter.set_image(IMAGES[1])
    assert interpreter.timed_invoke() > 0
    np.testing.assert_array_equal(interpreter.values(), np.arange(18, 36))


@pytest.mark.parametrize("content", [b"no flatbuffer at all", b"\x00" * 64])
def test_a_broken_file_is_refused(content: bytes, tmp_path: Path):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="model"):
        Interpreter(path, threads=1)


def test_inputs_and_outputs_of_a_file_are_read(tmp_path: Path):
    path = tmp_path / "model.tflite"
    path.write_bytes(flattening("INT8", (0.5, 3)))
    (first,), (last,) = read_tensor_io(path)
    assert first == TensorIO((1, 2, 3, 3), np.dtype(np.int8), 0.5, 3, first.index)
    assert last == TensorIO((1, 18), np.dtype(np.int8), 0.5, 3, last.index)
    interpreter = Interpreter(path, threads=1)
    assert (interpreter.input, interpreter.output) == (first, last)
    assert read_signature(path) is None


@pytest.mark.parametrize(
    ("shape", "error", "words"),
    [
        ([2**31 - 1] * 4, PupilaError, "expected at most 8,589,934,592, of one image"),
        ([2**31 - 1] * 1_000, ValueError, "it is damaged"),
        ([-1, 4], ValueError, "it is damaged"),
    ],
    ids=["large", "of many axes", "negative"],
)
def test_a_model_with_tensors_of_impossible_shapes_is_refused(
    shape: list[int], error: type[Exception], words: str
):
    made = graph([tensor(shape, "FLOAT32", None)], [], [0])
    model = serialise([made], [operator_code(RESHAPE, RESHAPE)])
    with pytest.raises(error, match=words):
        check_model(model)
