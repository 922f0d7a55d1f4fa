"""Reads the graph of a flatbuffer: how many weights it holds, and what one image costs.

Works on the file mapped into memory, whatever its size. The file must be sound: open it in LiteRT
first, which verifies it.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

_FLOAT_TYPES = (
    schema.TensorType.FLOAT32,
    schema.TensorType.FLOAT16,
    schema.TensorType.BFLOAT16,
    schema.TensorType.FLOAT64,
)
_KERNEL_POSITION = 1
"""Place of the kernel among the inputs of every operator that has one."""

Shape = tuple[int, ...]


class Graph:
    """The main subgraph of a flatbuffer."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as stream:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self._model: Any = schema.Model.GetRootAs(content)
        self._main: Any = self._model.Subgraphs(0)

    @cached_property
    def parameters(self) -> int:
        """Elements of all constants that stand for real numbers, shared ones counted once.

        Batch normalisation is folded into kernels by the converter, and the constants of
        preprocessing are counted, so this is not quite the number that Keras gives. Integers that
        steer operators (shapes, axes, paddings) have no scale and are not counted.
        """
        elements: dict[int, int] = {}
        for tensor in map(self._main.Tensors, range(self._main.TensorsLength())):
            if self._is_constant(tensor) and _is_real(tensor):
                elements[tensor.Buffer()] = math.prod(_shape(tensor))
        return sum(elements.values())

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one image in convolutions and fully connected layers."""
        return sum(self._operator_macs(code, operator) for code, operator in self._operators())

    def _operators(self) -> Iterator[tuple[int, Any]]:
        for number in range(self._main.OperatorsLength()):
            operator = self._main.Operators(number)
            code = self._model.OperatorCodes(operator.OpcodeIndex())
            # files of before 2020 state the code in the narrower field alone
            yield max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), operator

    def _operator_macs(self, code: int, operator: Any) -> int:
        """Each kernel entry is used once at every position that the kernel is laid on."""
        operators = schema.BuiltinOperator
        if code in (operators.CONV_2D, operators.DEPTHWISE_CONV_2D, operators.FULLY_CONNECTED):
            positions = self._shape(operator.Outputs(0))[:-1]
        elif code == operators.TRANSPOSE_CONV:  # inputs: output shape, kernel, feature map
            positions = self._shape(operator.Inputs(2))[:-1]
        else:
            return 0
        kernel = self._shape(operator.Inputs(_KERNEL_POSITION))
        return math.prod(positions) * math.prod(kernel)

    def _shape(self, index: int) -> Shape:
        return _shape(self._main.Tensors(index))

    def _is_constant(self, tensor: Any) -> bool:
        """Whether the file holds its values: inside the flatbuffer, or (offset > 1) behind it."""
        buffer = self._model.Buffers(tensor.Buffer())
        return buffer.DataLength() > 0 or buffer.Offset() > 1


def _shape(tensor: Any) -> Shape:
    return tuple(tensor.Shape(axis) for axis in range(tensor.ShapeLength()))


def _is_real(tensor: Any) -> bool:
    quantization = tensor.Quantization()
    return tensor.Type() in _FLOAT_TYPES or bool(quantization and quantization.ScaleLength())
