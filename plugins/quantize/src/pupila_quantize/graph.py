"""Reads the operators, types and weights of a flatbuffer, mapped into memory."""

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
"""Ends of the names that TensorFlow gives to operations with weights."""
_WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")


@dataclass(frozen=True)
class Layer:
    """An operator that has weights, and the Keras layer that it implements."""

    name: str
    """Name of the Keras layer."""
    operator: str
    scope: str
    """The quantiser's name for the operator: the names of its output tensors."""


def check_quantisable(path: Path, technique: str, picture: tuple[int, ...]) -> None:
    """Check that a flatbuffer is float32 and can be quantised and calibrated.

    `picture` is the expected shape of one input image, `(height, width, channels)`. `technique` is
    named in the error.

    Raises:
        PupilaError: the flatbuffer has an operator that LiteRT does not know, has float16 or
            quantised tensors, takes images of another size, or has weights that are not finite.
    """
    model = map_model(path)
    _check_custom(model, technique)
    _check_float(model.Subgraphs(0), technique)
    _check_size(model.Subgraphs(0), technique, picture)
    _check_finite(model)


def check_no_loops(path: Path, technique: str) -> None:
    """Check that a flatbuffer has no loop, whose activations cannot be calibrated.

    `technique` is named in the error.

    Raises:
        PupilaError: the flatbuffer has an operator `WHILE`.
    """
    if any(name == "WHILE" for name, _ in _operators(map_model(path))):
        raise PupilaError(
            f"{technique} cannot quantise loops (WHILE), which recurrent layers become: build "
            f"these layers with 'unroll=True', or use quantize-dynamic, which needs no images."
        )


def check_has_weights(path: Path, kinds: tuple[str, ...], technique: str) -> None:
    """Check that at least one operator of the given `kinds` has weights in a flatbuffer.

    `kinds` are names of operators. `technique` is named in the error.

    Raises:
        PupilaError: no operator of these kinds has weights.
    """
    if not any(layer.operator in kinds for layer in layers(path)):
        raise PupilaError(
            f"{technique} found nothing to store in four bits: the flatbuffer has no "
            f"{' and no '.join(kinds)}. Use quantize-int8."
        )


def _check_custom(model: Any, technique: str) -> None:
    names = custom_operators(model)
    if names:
        raise PupilaError(
            f"{technique} cannot quantise a flatbuffer with operators that are not of LiteRT, "
            f"and this one has {join_names(map(repr, names))}: replace the layers that became "
            f"them by layers of Keras, and export the model again."
        )


def _check_float(graph: Any, technique: str) -> None:
    types = sorted({_type(tensor) for tensor in tensors(graph) if _is_quantized(tensor)})
    if types:
        raise PupilaError(
            f"{technique} needs a float32 flatbuffer, but this one already has "
            f"{' and '.join(types)} tensors: give the step the output of export-tflite."
        )


def _check_size(graph: Any, technique: str, picture: tuple[int, ...]) -> None:
    shapes = [
        graph.Tensors(graph.Inputs(number)).ShapeAsNumpy().tolist()
        for number in range(graph.InputsLength())
    ]
    if shapes != [[1, *picture]]:
        raise PupilaError(
            f"{technique} was given a flatbuffer that takes {' and '.join(map(str, shapes))}, "
            f"where its record says {[1, *picture]}, one image as (1, height, width, channels): "
            f"state the size that the file takes, or convert it for that one."
        )


def _check_finite(model: Any) -> None:
    for tensor in tensors(model.Subgraphs(0)):
        if _type(tensor) != "float32" or tensor.ShapeLength() == 0:
            continue
        values = _constant(model, tensor).view("<f4")
        if len(values) == 1 and np.isinf(values[0]):
            continue  # intended, such as the padding of a maximum
        if len(values) and not (np.isfinite(values.min()) and np.isfinite(values.max())):
            raise PupilaError(
                f"The flatbuffer has weights that are NaN or infinite in "
                f"{tensor.Name().decode()!r}: train the model again, or take an earlier checkpoint."
            )


def _constant(model: Any, tensor: Any) -> NDArray[np.uint8]:
    """Return the bytes of a constant tensor, wherever they are stored; empty if not constant."""
    buffer = model.Buffers(tensor.Buffer())
    if buffer.Offset() > 1:
        return np.frombuffer(model._tab.Bytes, np.uint8, buffer.Size(), buffer.Offset())
    return np.frombuffer(b"", np.uint8) if buffer.DataIsNone() else buffer.DataAsNumpy()


def float_operators(path: Path) -> dict[str, int]:
    """Return how many operators of each name compute in float32, not counting conversions."""
    model = map_model(path)
    counts: Counter[str] = Counter()
    for name, written in _operators(model):
        if name not in _CONVERSIONS and any(_type(tensor) == "float32" for tensor in written):
            counts[name] += 1
    return dict(sorted(counts.items()))


def layers(path: Path) -> list[Layer]:
    """Return the operators with weights, in the order in which they run."""
    scopes = ((name, _scope(written)) for name, written in _operators(map_model(path)))
    return [
        Layer(_layer_name(scope), name, scope) for name, scope in scopes if name in _WITH_WEIGHTS
    ]


def dense_scopes(path: Path, block: int) -> list[str]:
    """Return the scopes of dense layers whose number of inputs is a multiple of `block`."""
    return [
        _scope(written)
        for name, written, read in _calls(map_model(path))
        if name == "FULLY_CONNECTED" and read[1].Shape(1) % block == 0
    ]


def scope_of(graph: Any, operator: Operator) -> str:
    """Return the scope of an operator: the quantiser's name for it."""
    return _scope([graph.Tensors(index) for index in operator.outputs])


def _scope(written: list[Any]) -> str:
    return "".join(f"{tensor.Name().decode()};" for tensor in written)


def _layer_name(scope: str) -> str:
    """Return the name of the layer in a scope that has the weights.

    For `net/relu/Relu;net/norm/add;net/conv_1/convolution;` the name is `net/conv_1`.
    """
    names = [name for name in scope.split(";") if name]
    kernels = [name for name in names if name.endswith(_KERNELS)] or names
    return kernels[-1].rpartition("/")[0] or kernels[-1]


def _operators(model: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield each operator's name and its output tensors."""
    return ((name, written) for name, written, _ in _calls(model))


def _calls(model: Any) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """Yield each operator's name, its output tensors, and its input tensors."""
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
    """Return whether a tensor is float16, or integers that represent real numbers."""
    return _type(tensor) == "float16" or is_quantized(tensor)
