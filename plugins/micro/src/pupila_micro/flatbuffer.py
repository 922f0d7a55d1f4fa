"""Reads a flatbuffer's operators, and lays it out so that TFLite Micro finds the weights.

The interpreter works on the file where it lies in flash. Two things that LiteRT forgives are put
right: constants that lie behind the flatbuffer (as quantisers write them) would be taken for empty,
so that the model answers nonsense, in an arena as large as its weights; and constants that do not
start at a multiple of 16 bytes are slow or worse on some processors.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pupila_micro.interpreter import align_tflite_model

_IDENTIFIER = b"TFL3"
_ABSENT = -1
"""Index of an optional input that an operator is not given."""


@dataclass(frozen=True)
class Operator:
    """One step of the graph."""

    number: int
    name: str
    """As the schema spells it, such as CONV_2D; of a custom one, its own name."""
    custom: bool
    types: frozenset[str]
    """Of its inputs and outputs, such as INT8."""


def read_operators(content: bytes) -> list[Operator]:
    """Return the operators of all subgraphs, in order."""
    model: Any = schema.Model.GetRootAs(content)
    graphs = map(model.Subgraphs, range(model.SubgraphsLength()))
    return [operator for graph in graphs for operator in _operators(model, graph)]


def _operators(model: Any, graph: Any) -> Iterator[Operator]:
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        code = model.OperatorCodes(operator.OpcodeIndex())
        # files of before 2020 state the code in the narrower field alone
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = builtin == schema.BuiltinOperator.CUSTOM
        name = code.CustomCode().decode() if custom else _names(schema.BuiltinOperator)[builtin]
        yield Operator(number, name, custom, frozenset(_types(graph, operator)))


def _types(graph: Any, operator: Any) -> Iterator[str]:
    inputs = map(operator.Inputs, range(operator.InputsLength()))
    outputs = map(operator.Outputs, range(operator.OutputsLength()))
    for tensor in (*inputs, *outputs):
        if tensor != _ABSENT:
            yield _names(schema.TensorType)[graph.Tensors(tensor).Type()]


def _names(enumeration: type[Any]) -> dict[int, str]:
    """Return the names of the schema's numbers."""
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def lay_out(content: bytes, scratch: Path) -> bytes:
    """Return the same model with all constants inside the flatbuffer, at multiples of 16 bytes."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        packed, aligned = Path(folder, "packed.tflite"), Path(folder, "aligned.tflite")
        packed.write_bytes(_with_constants_inside(content))
        align_tflite_model(str(packed), str(aligned))
        return aligned.read_bytes()


def _with_constants_inside(content: bytes) -> bytes:
    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    for buffer in model.buffers:
        if buffer.offset > 1:  # 1 is written where there is nothing behind the flatbuffer
            end = buffer.offset + buffer.size
            buffer.data = np.frombuffer(content[buffer.offset : end], np.uint8)
            buffer.offset = buffer.size = 0
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())
