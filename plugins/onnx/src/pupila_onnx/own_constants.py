"""Gives each quantised constant of an ONNX model to one operator alone.

On x86 without VNNI, ONNX Runtime adds products of int8 weights in 16 bits, which overflow silently.
Its option `session.x64quantprecision`, which the runner sets, makes those weights uint8 and the
sums exact; but it fails where two operators share a weight or a zero point.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pupila_onnx.files import graphs, nodes, onnx

_REWRITTEN = {0: "values", 2: "zero_point"}
"""Inputs of `DequantizeLinear` that ONNX Runtime rewrites, and what a copy of each is called."""


def separate_constants(model: Any) -> None:
    """Copy what a `DequantizeLinear` of a constant shares with another operator."""
    uses = Counter(name for node in nodes(model) for name in node.input)
    for graph in graphs(model.graph):
        constants = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type != "DequantizeLinear" or node.input[0] not in constants:
                continue
            for position, kind in _REWRITTEN.items():
                name = node.input[position] if position < len(node.input) else ""
                if name in constants and uses[name] > 1:
                    copy = onnx.TensorProto.FromString(constants[name].SerializeToString())
                    copy.name = node.input[position] = f"{node.output[0]}_{kind}"
                    graph.initializer.append(copy)
                    uses[name] -= 1
