"""Reads what types a flatbuffer computes in. Works on the file mapped into memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import PupilaError
from pupila.errors import join_names
from pupila.litert.flatbuffer import (
    ABSENT,
    Operator,
    custom_operators,
    is_quantized,
    map_model,
    operators,
    tensor_type,
    tensors,
)

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
_KERNELS = ("/convolution", "/depthwise", "/conv_transpose", "/MatMul")
"""What TensorFlow calls that part of a layer that has the weights."""
_WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")


@dataclass(frozen=True)
class Layer:
    """An operator that has weights."""

    name: str
    """What the Keras layer was called."""
    operator: str
    scope: str
    """By which the quantiser knows it: the names of the tensors that it writes."""


def refuse_unfit(path: Path, technique: str, picture: tuple[int, ...]) -> None:
    """Let only a float32 flatbuffer pass that can be quantised and calibrated.

    `picture` is what it is to take, `(height, width, channels)`.

    Raises:
        PupilaError: it has an operator that is not of LiteRT, holds float16 or quantised tensors,
            takes pictures of another size, or has weights that are no numbers.
    """
    model = map_model(path)
    _refuse_custom(model, technique)
    _refuse_quantized(model.Subgraphs(0), technique)
    _refuse_size(model.Subgraphs(0), technique, picture)
    _refuse_no_numbers(model)


def refuse_without(path: Path, kinds: tuple[str, ...], technique: str) -> None:
    """Let only a flatbuffer pass that has weights in one of those operators.

    Raises:
        PupilaError: it has none.
    """
    if not any(layer.operator in kinds for layer in layers(path)):
        raise PupilaError(
            f"{technique} found nothing to store in four bits: the flatbuffer has no "
            f"{' and no '.join(kinds)}. Use quantize-int8."
        )


def _refuse_custom(model: Any, technique: str) -> None:
    names = custom_operators(model)
    if names:
        raise PupilaError(
            f"{technique} cannot quantise a flatbuffer with operators that are not of LiteRT, "
            f"and this one has {join_names(map(repr, names))}: replace the layers that became "
            f"them by layers of Keras, and export the model again."
        )


def _refuse_quantized(graph: Any, technique: str) -> None:
    found = sorted({_type(tensor) for tensor in tensors(graph) if _is_quantized(tensor)})
    if found:
        raise PupilaError(
            f"{technique} needs a float32 flatbuffer, but the one it is given already holds "
            f"{' and '.join(found)} tensors: give the step what export-tflite made."
        )


def _refuse_size(graph: Any, technique: str, picture: tuple[int, ...]) -> None:
    taken = [
        graph.Tensors(graph.Inputs(number)).ShapeAsNumpy().tolist()
        for number in range(graph.InputsLength())
    ]
    if taken != [[1, *picture]]:
        raise PupilaError(
            f"{technique} was given a flatbuffer that takes {' and '.join(map(str, taken))}, where "
            f"its record says {[1, *picture]}, one picture as (1, height, width, channels): state "
            f"the size that the file takes, or convert it for that one."
        )


def _refuse_no_numbers(model: Any) -> None:
    for tensor in tensors(model.Subgraphs(0)):
        if _type(tensor) != "float32" or tensor.ShapeLength() == 0:
            continue
        values = _constant(model, tensor).view("<f4")
        if len(values) == 1 and np.isinf(values[0]):
            continue  # on purpose, as what fills up a maximum
        if len(values) and not (np.isfinite(values.min()) and np.isfinite(values.max())):
            raise PupilaError(
                f"The flatbuffer has weights that are no numbers (NaN or infinite) in "
                f"{tensor.Name().decode()!r}: train the model again, or take an earlier checkpoint."
            )


def _constant(model: Any, tensor: Any) -> NDArray[np.uint8]:
    """Return the bytes of a constant, none for what is computed; large ones lie behind."""
    buffer = model.Buffers(tensor.Buffer())
    if buffer.Offset() > 1:
        return np.frombuffer(model._tab.Bytes, np.uint8, buffer.Size(), buffer.Offset())
    return np.frombuffer(b"", np.uint8) if buffer.DataIsNone() else buffer.DataAsNumpy()


def float_operators(path: Path) -> dict[str, int]:
    """Count by name the operators that compute in float32, conversions at the ends left out."""
    model = map_model(path)
    counts: Counter[str] = Counter()
    for name, written in _operators(model):
        if name not in _CONVERSIONS and any(_type(tensor) == "float32" for tensor in written):
            counts[name] += 1
    return dict(sorted(counts.items()))


def layers(path: Path) -> list[Layer]:
    """Return the operators with weights, in the order in which they run."""
    found = ((name, _scope(written)) for name, written in _operators(map_model(path)))
    return [
        Layer(_layer_name(scope), name, scope) for name, scope in found if name in _WITH_WEIGHTS
    ]


def dense_scopes(path: Path, block: int) -> list[str]:
    """Return the scopes of the dense layers whose inputs can be cut into blocks of that length."""
    return [
        _scope(written)
        for name, written, read in _calls(map_model(path))
        if name == "FULLY_CONNECTED" and read[1].Shape(1) % block == 0
    ]


def scope_of(graph: Any, operator: Operator) -> str:
    """Return by what the quantiser knows an operator of a graph."""
    return _scope([graph.Tensors(index) for index in operator.outputs])


def _scope(written: list[Any]) -> str:
    return "".join(f"{tensor.Name().decode()};" for tensor in written)


def _layer_name(scope: str) -> str:
    """Take from `net/relu/Relu;net/norm/add;net/conv_1/convolution;` the layer with the weights."""
    parts = [part for part in scope.split(";") if part]
    named = [part for part in parts if part.endswith(_KERNELS)] or parts
    return named[-1].rpartition("/")[0] or named[-1]


def _operators(model: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield each operator's name and the tensors that it writes."""
    return ((name, written) for name, written, _ in _calls(model))


def _calls(model: Any) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """Yield each operator's name, the tensors that it writes, and those that it reads."""
    graph = model.Subgraphs(0)
    for operator in operators(model, graph):
        yield (
            operator.name,
            [graph.Tensors(index) for index in operator.outputs],
            [graph.Tensors(index) for index in operator.inputs if index != ABSENT],
        )


def _type(tensor: Any) -> str:
    return tensor_type(tensor).lower()


def _is_quantized(tensor: Any) -> bool:
    """Whether it is float16, or integers that stand for real numbers."""
    return _type(tensor) == "float16" or is_quantized(tensor)
