"""Reads a flatbuffer's operators and the types of their tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pupila.litert.flatbuffer import (
    ABSENT,
    operators,
    parse_model,
    subgraphs,
    tensor_type,
)


@dataclass(frozen=True)
class Operator:
    """One operator of a flatbuffer's graph."""

    number: int
    name: str
    """Name in the TFLite schema, such as CONV_2D. A custom operator has its own name."""
    custom: bool
    types: frozenset[str]
    """Data types of the operator's inputs and outputs, such as INT8."""


def read_operators(content: bytes) -> list[Operator]:
    """Return the operators of all subgraphs of a flatbuffer, in order."""
    model = parse_model(content)
    return [operator for graph in subgraphs(model) for operator in _operators(model, graph)]


def _operators(model: Any, graph: Any) -> Iterator[Operator]:
    for operator in operators(model, graph):
        present = (index for index in operator.inputs + operator.outputs if index != ABSENT)
        types = frozenset(tensor_type(graph.Tensors(index)) for index in present)
        custom = operator.custom_name is not None
        yield Operator(operator.number, operator.custom_name or operator.name, custom, types)
