"""Reads the operators of a flatbuffer: their names, and which tensors they read and write.

Models, subgraphs and tensors are the objects of LiteRT's schema (`schema_py_generated`), which
read from the file as they are asked. The file must be sound: LiteRT verifies it when it opens it.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pupila.errors import PupilaError, join_names

_MOST_BYTES = 1 << 33
"""Of all tensors: ten times those of the largest classifiers."""
_MOST_AXES = 32
"""Of a tensor: NumPy's old limit; LiteRT's operators take eight at most."""
_OF_ONE_BYTE = ("INT8", "UINT8", "INT4", "UINT4", "INT2", "BOOL")
ABSENT = -1
"""Index of an optional tensor that an operator is not given."""


@dataclass(frozen=True)
class Operator:
    """One step of a graph."""

    number: int
    """Its position in the subgraph, from 0."""
    name: str
    """As the schema spells it, such as `CONV_2D`; `CUSTOM` where it is not one of LiteRT's."""
    custom_name: str | None
    """What a custom operator is called; None for LiteRT's own."""
    inputs: tuple[int, ...]
    """Indices of the tensors that it reads, `ABSENT` where an optional one is left out."""
    outputs: tuple[int, ...]
    """Indices of the tensors that it writes."""


def import_schema() -> Any:
    """Import the schema of flatbuffers, a module that has no types."""
    return import_module("ai_edge_litert.schema_py_generated")


def map_model(path: Path) -> Any:
    """Return the model of a `.tflite` file, mapped into memory: any size may be read."""
    return parse_model(map_file(path))


def map_file(path: Path) -> mmap.mmap:
    """Return the content of a file, mapped into memory.

    Raises:
        ValueError: it is empty.
    """
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def parse_model(content: bytes | mmap.mmap) -> Any:
    """Return the model of a flatbuffer."""
    return import_schema().Model.GetRootAs(content)


def check_model(content: bytes | mmap.mmap) -> None:
    """Refuse a flatbuffer with operators other than LiteRT's own, or too large for any computer.

    A custom operator is code of whichever program runs the file: with TensorFlow in the process,
    those called Flex are all of its operations, which write files too.

    Raises:
        PupilaError: it has some, which the message names; or its tensors take too much memory.
        ValueError: it is broken.
    """
    try:
        model = parse_model(content)
        custom = sorted(_custom_operators(model))
        size = sum(_bytes(tensor) for graph in subgraphs(model) for tensor in tensors(graph))
    except (struct.error, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ValueError("the model's graph cannot be read, it is damaged") from error
    if custom:
        raise PupilaError(
            f"The flatbuffer has the operators {join_names(custom)}, which are not LiteRT's own: "
            "refused. Export the model with built-in operators alone."
        )
    if size > _MOST_BYTES:
        raise PupilaError(
            f"The flatbuffer has tensors of {size:,} bytes together: expected at most "
            f"{_MOST_BYTES:,}, of one image. Export the model again."
        )


def _custom_operators(model: Any) -> set[str]:
    codes = map(model.OperatorCodes, range(model.OperatorCodesLength()))
    return {
        (code.CustomCode() or b"without a name").decode(errors="replace")
        for code in codes
        if code.CustomCode()
        or operator_name(code.BuiltinCode(), code.DeprecatedBuiltinCode()) == "CUSTOM"
    }


def _bytes(tensor: Any) -> int:
    """Return about what a tensor takes in memory: its numbers are mostly of one or four bytes."""
    if tensor.ShapeLength() > _MOST_AXES:
        raise ValueError(f"it has a tensor of {tensor.ShapeLength()} axes")
    shape = [tensor.Shape(axis) for axis in range(tensor.ShapeLength())]
    if min(shape, default=0) < 0:
        raise ValueError(f"it has a tensor of the shape {shape}")
    return math.prod(shape) * (1 if tensor_type(tensor) in _OF_ONE_BYTE else 4)


def subgraphs(model: Any) -> Iterator[Any]:
    """Yield all graphs of a model, the main one first."""
    return map(model.Subgraphs, range(model.SubgraphsLength()))


def tensors(graph: Any) -> Iterator[Any]:
    """Yield all tensors of a graph, by their index."""
    return map(graph.Tensors, range(graph.TensorsLength()))


def operators(model: Any, graph: Any) -> Iterator[Operator]:
    """Yield the operators of one graph of a model, in the order in which they run."""
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        code = model.OperatorCodes(operator.OpcodeIndex())
        name = operator_name(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        yield Operator(
            number,
            name,
            (code.CustomCode() or b"").decode() if name == "CUSTOM" else None,
            tuple(map(operator.Inputs, range(operator.InputsLength()))),
            tuple(map(operator.Outputs, range(operator.OutputsLength()))),
        )


def operator_name(code: int, deprecated_code: int) -> str:
    """Return the schema's name of an operator, from the two fields that state its code.

    Files from before 2020 state it in the narrower field alone, which is now deprecated and holds
    127 where the code does not fit.
    """
    return _name("BuiltinOperator", max(code, deprecated_code))


def tensor_type(tensor: Any) -> str:
    """Return the schema's name of a tensor's type, such as `FLOAT32`."""
    return _name("TensorType", tensor.Type())


def is_quantized(tensor: Any) -> bool:
    """Whether a tensor has a scale, so that its integers stand for real numbers."""
    quantization = tensor.Quantization()
    return bool(quantization and quantization.ScaleLength())


def _name(enumeration: str, value: int) -> str:
    """Return the name of a schema's number; of one newer than this schema, the number itself."""
    return _names(enumeration).get(value, f"{enumeration} {value}")


@cache
def _names(enumeration: str) -> dict[int, str]:
    numbers: type = getattr(import_schema(), enumeration)
    return {value: name for name, value in vars(numbers).items() if isinstance(value, int)}
