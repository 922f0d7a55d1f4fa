"""Counts the weights of an ONNX model, and the multiply-accumulates for one image."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

from pupila_onnx.files import infer_shapes, onnx, shape_of

_FLOAT_TYPES = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE")
_SCALES = ("QuantizeLinear", "DequantizeLinear")
"""Operators whose second and third input are a scale and a zero point."""
_PRODUCTS = ("MatMul", "Gemm")

Shape = tuple[int, ...]


class Graph:
    """The main graph of a model."""

    def __init__(self, model: Any) -> None:
        self._graph: Any = model.graph
        self._model: Any = model

    @property
    def is_quantized(self) -> bool:
        """Whether some values are stored as integers with a scale."""
        return any(node.op_type in _SCALES for node in self._graph.node)

    @cached_property
    def parameters(self) -> int:
        """Number of weights: the elements of all constants that represent real numbers.

        Integers count if they have a scale. Scales, zero points, shapes and axes do not count. The
        number differs a little from Keras' number, since constants of preprocessing count here, and
        batch normalisation may be part of a kernel.
        """
        with_scale = {node.input[0] for node in self._graph.node if node.op_type in _SCALES}
        scales = {
            name for node in self._graph.node if node.op_type in _SCALES for name in node.input[1:]
        }
        return sum(
            math.prod(tensor.dims)
            for tensor in self._graph.initializer
            if tensor.name in with_scale
            or (tensor.name not in scales and _is_float(tensor.data_type))
        )

    @cached_property
    def macs(self) -> int | None:
        """Multiply-accumulates for one image, in convolutions and products with weights.

        None if the shape of a convolution's output is not known.
        """
        counts = [self._node_macs(node) for node in self._graph.node]
        return None if None in counts else sum(filter(None, counts))

    def _node_macs(self, node: Any) -> int | None:
        """Return a node's multiply-accumulates: one per element and position of a kernel."""
        if node.op_type in ("Conv", "ConvTranspose"):
            moved = node.output[0] if node.op_type == "Conv" else node.input[0]
            positions = self._shapes.get(moved, (-1, -1, -1))[2:]
        elif node.op_type in _PRODUCTS and node.input[1] in self._constants:
            positions = self._shapes.get(node.output[0], (-1, -1, -1))[1:-1]
        else:
            return 0
        kernel = self._shapes.get(node.input[1], (-1,))
        if min((*positions, *kernel)) < 0:
            return None
        return math.prod(positions) * math.prod(kernel)

    @cached_property
    def _constants(self) -> set[str]:
        """Names of constants, also of those that are dequantised."""
        names = {tensor.name for tensor in self._graph.initializer}
        dequantized = (node for node in self._graph.node if node.op_type == "DequantizeLinear")
        return names | {node.output[0] for node in dequantized if node.input[0] in names}

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        """Shapes of all values by name; the first axis is the batch, save in constants."""
        graph = infer_shapes(self._model).graph
        values = (*graph.input, *graph.value_info, *graph.output)
        shapes = {value.name: shape_of(value) for value in values}
        return shapes | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def _is_float(data_type: int) -> bool:
    return onnx.TensorProto.DataType.Name(data_type) in _FLOAT_TYPES
