"""Reads and walks ONNX files. The package `onnx` has no type annotations, so `Any` stands here."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from pupila import PupilaError
from pupila.paths import read_plain

onnx: Any = import_module("onnx")

MODEL_NAME = "model.onnx"
"""Name of an artifact's only file."""
INPUT, OUTPUT = "image", "output"
"""Names of the input and the output in the files that are written here."""
BATCH = "batch"
"""Name of the number of images, if it is open."""


def read(path: Path) -> Any:
    """Return the `ModelProto` in a file; no other file is read, whatever the model says.

    Raises:
        PupilaError: the file is damaged.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(read_plain(path))
    except DecodeError:
        raise PupilaError(
            f"{str(path)!r} is damaged: expected a whole ONNX file. Copy or export it again."
        ) from None
    return model


def write(model: Any, path: Path) -> None:
    """Write a `ModelProto`; the same model always gives the same bytes.

    Raises:
        PupilaError: the model is larger than a protobuf can be.
    """
    try:
        path.write_bytes(model.SerializeToString(deterministic=True))
    except ValueError as error:
        raise PupilaError(
            f"The model does not fit into one ONNX file ({error}), which holds 2 GB at most: make "
            f"it smaller first."
        ) from None


def graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph and the graphs in it: the branches and bodies of control flow."""
    yield graph
    for node in graph.node:
        yield from _graphs_of(node)


def _graphs_of(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            if inner.node or inner.initializer:
                yield from graphs(inner)


def nodes(model: Any) -> Iterator[Any]:
    """Yield all nodes of a model: of its graph, of graphs in it, and of its functions."""
    for graph in graphs(model.graph):
        yield from graph.node
    for function in model.functions:
        for node in function.node:
            yield node
            for graph in _graphs_of(node):
                yield from graph.node


def tensors(model: Any) -> Iterator[Any]:
    """Yield all constants of a model: initialisers, and tensors in attributes of nodes."""
    for graph in graphs(model.graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in nodes(model):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of an input, output or intermediate value; -1 for an open length."""
    return tuple(
        axis.dim_value if axis.HasField("dim_value") else -1
        for axis in value.type.tensor_type.shape.dim
    )


def infer_shapes(model: Any) -> Any:
    """Return a model with the shapes of its values, as far as they follow from its inputs."""
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (
        Exception
    ):  # the inference of C++ raises many kinds; ONNX Runtime then says what is wrong
        return model
