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
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pupila.litert.flatbuffer import (
    ABSENT,
    import_schema,
    operators,
    parse_model,
    subgraphs,
    tensor_type,
)
from pupila_micro.interpreter import align_tflite_model

flatbuffers: Any = import_module("flatbuffers")  # it has no types

_IDENTIFIER = b"TFL3"


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
    model = parse_model(content)
    return [operator for graph in subgraphs(model) for operator in _operators(model, graph)]


def _operators(model: Any, graph: Any) -> Iterator[Operator]:
    for operator in operators(model, graph):
        present = (index for index in operator.inputs + operator.outputs if index != ABSENT)
        types = frozenset(tensor_type(graph.Tensors(index)) for index in present)
        custom = operator.custom_name is not None
        yield Operator(operator.number, operator.custom_name or operator.name, custom, types)


def lay_out(content: bytes, scratch: Path) -> bytes:
    """Return the same model with all constants inside the flatbuffer, at multiples of 16 bytes."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        packed, aligned = Path(folder, "packed.tflite"), Path(folder, "aligned.tflite")
        packed.write_bytes(_with_constants_inside(content))
        align_tflite_model(str(packed), str(aligned))
        return aligned.read_bytes()


def _with_constants_inside(content: bytes) -> bytes:
    model = import_schema().ModelT.InitFromObj(parse_model(content))
    for buffer in model.buffers:
        if buffer.offset > 1:  # 1 is written where there is nothing behind the flatbuffer
            end = buffer.offset + buffer.size
            buffer.data = np.frombuffer(content[buffer.offset : end], np.uint8)
            buffer.offset = buffer.size = 0
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())
