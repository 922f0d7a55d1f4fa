"""Reads the operators of a flatbuffer: their names, and which tensors they read and write.

Models, subgraphs and tensors are objects of LiteRT's schema (`schema_py_generated`), which read
from the file on access. The file must be valid; LiteRT verifies a file when it opens it.
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
"""Largest size of all tensors together: ten times what the largest classifiers need."""
_MOST_AXES = 32
"""Most axes of one tensor: NumPy's old limit. LiteRT's operators take at most eight."""
_ONE_BYTE_TYPES = ("INT8", "UINT8", "INT4", "UINT4", "INT2", "BOOL")
ABSENT = -1
"""Index that stands for an optional tensor that is left out."""


@dataclass(frozen=True)
class Operator:
    """One operator of a graph: what it computes, and which tensors it reads and writes."""

    number: int
    """Position of the operator in its graph, from 0."""
    name: str
    """Name in LiteRT's schema, such as `CONV_2D`; `CUSTOM` for a custom operator."""
    custom_name: str | None
    """Name of a custom operator; None for LiteRT's own."""
    inputs: tuple[int, ...]
    """Indices of the tensors that the operator reads; `ABSENT` for an optional one left out."""
    outputs: tuple[int, ...]
    """Indices of the tensors that the operator writes."""


def import_schema() -> Any:
    """Import the schema of `.tflite` files, a module without type annotations."""
    return import_module("ai_edge_litert.schema_py_generated")


def map_model(path: Path) -> Any:
    """Map a `.tflite` file of any size into memory, and return the model in the file."""
    return parse_model(map_file(path))


def map_file(path: Path) -> mmap.mmap:
    """Return the content of a file, mapped into memory.

    Raises:
        ValueError: the file is empty.
    """
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def parse_model(content: bytes | mmap.mmap) -> Any:
    """Return the model, an object of LiteRT's schema, in the content of a flatbuffer."""
    return import_schema().Model.GetRootAs(content)


def check_model(content: bytes | mmap.mmap) -> None:
    """Refuse a flatbuffer that has custom operators or unreasonably large tensors.

    A custom operator is implemented by the program that runs the file. If TensorFlow is loaded,
    custom operators called Flex run TensorFlow's operations, some of which write files.

    Raises:
        PupilaError: the model has custom operators, which the message names, or its tensors take
            too much memory.
        ValueError: the flatbuffer is damaged.
    """
    try:
        model = parse_model(content)
        custom = custom_operators(model)
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


def custom_operators(model: Any) -> list[str]:
    """Return the names of a model's custom operators, sorted."""
    codes = map(model.OperatorCodes, range(model.OperatorCodesLength()))
    names = {
        (code.CustomCode() or b"without a name").decode(errors="replace")
        for code in codes
        if code.CustomCode() or _code_name(code) == "CUSTOM"
    }
    return sorted(names)


def _bytes(tensor: Any) -> int:
    """Estimate a tensor's size in memory: its numbers mostly have one or four bytes."""
    if tensor.ShapeLength() > _MOST_AXES:
        raise ValueError(f"it has a tensor of {tensor.ShapeLength()} axes")
    shape = [tensor.Shape(axis) for axis in range(tensor.ShapeLength())]
    if min(shape, default=0) < 0:
        raise ValueError(f"it has a tensor of the shape {shape}")
    return math.prod(shape) * (1 if tensor_type(tensor) in _ONE_BYTE_TYPES else 4)


def subgraphs(model: Any) -> Iterator[Any]:
    """Yield the graphs of a model, the main one first."""
    return map(model.Subgraphs, range(model.SubgraphsLength()))


def tensors(graph: Any) -> Iterator[Any]:
    """Yield the tensors of a graph, in the order of their indices."""
    return map(graph.Tensors, range(graph.TensorsLength()))


def operators(model: Any, graph: Any) -> Iterator[Operator]:
    """Yield the operators of one graph of a model, in the order in which they run."""
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        code = model.OperatorCodes(operator.OpcodeIndex())
        name = _code_name(code)
        yield Operator(
            number,
            name,
            (code.CustomCode() or b"").decode() if name == "CUSTOM" else None,
            tuple(map(operator.Inputs, range(operator.InputsLength()))),
            tuple(map(operator.Outputs, range(operator.OutputsLength()))),
        )


def operator_name(code: int, deprecated_code: int) -> str:
    """Return the schema's name for an operator, given the two fields that can hold its code.

    Files from before 2020 have only `deprecated_code`, a narrower field. In newer files,
    `deprecated_code` holds 127 if the operator's code does not fit.
    """
    return _name("BuiltinOperator", max(code, deprecated_code))


def _code_name(code: Any) -> str:
    return operator_name(code.BuiltinCode(), code.DeprecatedBuiltinCode())


def tensor_type(tensor: Any) -> str:
    """Return the schema's name for a tensor's type, such as `FLOAT32`."""
    return _name("TensorType", tensor.Type())


def is_quantized(tensor: Any) -> bool:
    """Whether a tensor is quantised: a quantised tensor holds integers and has a scale."""
    quantization = tensor.Quantization()
    return bool(quantization and quantization.ScaleLength())


def _name(enumeration: str, value: int) -> str:
    """Return the name of a constant of an enumeration; its number if this schema lacks it."""
    return _names(enumeration).get(value, f"{enumeration} {value}")


@cache
def _names(enumeration: str) -> dict[int, str]:
    numbers: type = getattr(import_schema(), enumeration)
    return {value: name for name, value in vars(numbers).items() if isinstance(value, int)}
