"""Counts the multiply-accumulates of a TensorFlow graph: convolutions and products of matrices.

The graph has an operation for each product, so those inside attention layers, nested models and
layers of other packages count like any others. The size of every tensor must be known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

_LOOPS = frozenset({"While", "StatelessWhile"})
"""Operations with a body that runs an unknown number of times, as in recurrent layers."""


def graph_macs(graph: Any) -> int | None:
    """Return the multiply-accumulates of a `tf.Graph` and of the functions that it calls.

    Loops, as in recurrent layers, are not counted. None if TensorFlow does not know a size.
    """
    try:
        return sum(_COUNTED[node.type](node) for node in _nodes(graph) if node.type in _COUNTED)
    except _UnknownSizeError:
        return None


class _UnknownSizeError(Exception):
    pass


def _nodes(graph: Any) -> Iterator[Any]:
    """Yield the operations of a graph, and those of a function once for each of its calls."""
    for node in graph.get_operations():
        yield node
        called = node.node_def.attr["f"].func.name
        if called and node.type not in _LOOPS:
            yield from _nodes(graph._get_function(called).graph)


def _shape(tensor: Any) -> tuple[int, ...]:
    if tensor.shape.rank is None or None in tensor.shape:
        raise _UnknownSizeError
    return tuple(tensor.shape)


def _size(tensor: Any) -> int:
    return math.prod(_shape(tensor))


def _convolution(node: Any) -> int:
    """Return one product for each value of the output and each kernel entry that it reads."""
    return _size(node.outputs[0]) * math.prod(_shape(node.inputs[1])[:-1])


def _transposed_convolution(node: Any) -> int:
    """Return one product for each value of the input and each kernel entry that reads it.

    The operation reads the output's shape, the kernel, and the feature map.
    """
    return _size(node.inputs[2]) * math.prod(_shape(node.inputs[1])[:-1])


def _depthwise_convolution(node: Any) -> int:
    return _size(node.outputs[0]) * math.prod(_shape(node.inputs[1])[:-2])


def _product(node: Any) -> int:
    """Return the products of two matrices, or of two batches of matrices."""
    transposed = "transpose_a" if node.type == "MatMul" else "adj_x"
    inner = _shape(node.inputs[0])[-2 if node.get_attr(transposed) else -1]
    return _size(node.outputs[0]) * inner


def _einsum(node: Any) -> int:
    """Return one product for each value of the output and each combination of summed indices."""
    if len(node.inputs) < 2:
        return 0
    given, _, result = node.get_attr("equation").decode().partition("->")
    sizes: dict[str, int] = {}
    for labels, tensor in zip(given.split(","), node.inputs, strict=True):
        sizes |= _label_sizes(labels, _shape(tensor))
    summed = [size for label, size in sizes.items() if label not in result]
    return _size(node.outputs[0]) * math.prod(summed)


def _label_sizes(labels: str, shape: tuple[int, ...]) -> dict[str, int]:
    """Return the size of each letter in `labels`, such as `b...d`; dots stand for any axes."""
    before, _, after = labels.partition("...")
    return dict(zip(before, shape, strict=False)) | dict(
        zip(reversed(after), reversed(shape), strict=False)
    )


_COUNTED: dict[str, Callable[[Any], int]] = {
    "BatchMatMul": _product,
    "BatchMatMulV2": _product,
    "BatchMatMulV3": _product,
    "Conv2D": _convolution,
    "Conv2DBackpropInput": _transposed_convolution,
    "Conv3D": _convolution,
    "Conv3DBackpropInputV2": _transposed_convolution,
    "DepthwiseConv2dNative": _depthwise_convolution,
    "Einsum": _einsum,
    "MatMul": _product,
}
