"""Builds the scaling of pixels into a float flatbuffer, in front of its first operator."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from pupila.litert.flatbuffer import import_schema
from pupila.litert.packing import pack, unpack
from pupila.pixel_scaling import PixelScaling


def with_scaling(content: bytes, scaling: PixelScaling) -> bytes:
    """Return the flatbuffer of raw RGB in 0..255 that answers as `content` does to scaled pixels.

    `content` must be valid, and its main graph must take one float32 image, channels last.
    """
    schema = import_schema()
    model = unpack(content)
    graph = model.subgraphs[0]
    (image,) = (int(number) for number in graph.inputs)
    front = _Front(model, graph, image)
    front.add(schema.BuiltinOperator.MUL, "MulOptions", scaling.factors)
    front.add(schema.BuiltinOperator.ADD, "AddOptions", scaling.terms)
    if scaling.reverses:
        front.add(schema.BuiltinOperator.GATHER, "GatherOptions", (2, 1, 0), axis=3)
    front.put()
    return pack(model)


class _Front:
    """Operators in front of a graph, each of the image and of three constant numbers."""

    def __init__(self, model: Any, graph: Any, image: int) -> None:
        self._schema, self._model, self._graph, self._image = import_schema(), model, graph, image
        self._operators: list[Any] = []
        self._raw = self._copy_of_image("raw_pixels")

    def add(self, code: int, options: str, numbers: Sequence[float], **settings: int) -> None:
        """Add an operator with options of the schema's class `options`."""
        schema = self._schema
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(code)
        constant = self._constant(np.array(numbers, np.int32 if settings else np.float32))
        taken = self._operators[-1].outputs[0] if self._operators else self._raw
        operator.inputs = np.array([taken, constant], np.int32)
        operator.outputs = np.array([self._copy_of_image(f"scaled_{code}")], np.int32)
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        operator.builtinOptions = getattr(schema, f"{options}T")()
        for name, value in settings.items():
            setattr(operator.builtinOptions, name, value)
        self._operators.append(operator)

    def put(self) -> None:
        """Put the operators in front of the graph, which then takes raw pixels."""
        self._operators[-1].outputs = np.array([self._image], np.int32)
        self._graph.operators[:0] = self._operators
        self._graph.inputs = np.array([self._raw], np.int32)
        for signature in self._model.signatureDefs or ():
            for tensor in signature.inputs if signature.subgraphIndex == 0 else ():
                tensor.tensorIndex = self._raw

    def _copy_of_image(self, name: str) -> int:
        tensor = copy(self._graph.tensors[self._image])
        tensor.name, tensor.buffer = name, 0  # buffer 0 is empty
        return self._added(tensor)

    def _constant(self, values: Any) -> int:
        schema = self._schema
        buffer, tensor = schema.BufferT(), schema.TensorT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        tensor.buffer, tensor.shape = len(self._model.buffers) - 1, np.array([3], np.int32)
        kinds = schema.TensorType
        tensor.type = kinds.INT32 if values.dtype == np.int32 else kinds.FLOAT32
        tensor.name = f"scaling_{tensor.buffer}"
        return self._added(tensor)

    def _added(self, tensor: Any) -> int:
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _code(self, code: int) -> int:
        """Return the index of an operator's code, which is added to the model."""
        entry = self._schema.OperatorCodeT()
        entry.builtinCode = entry.deprecatedBuiltinCode = code
        entry.version = 1
        self._model.operatorCodes.append(entry)
        return len(self._model.operatorCodes) - 1
