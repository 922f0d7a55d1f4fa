"""Checks an ONNX file before ONNX Runtime opens it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pupila import Artifact, PupilaError
from pupila.errors import join_names
from pupila_onnx.files import graphs, infer_shapes, nodes, onnx, read, shape_of, tensors

_STANDARD = ("", "ai.onnx", "ai.onnx.ml")
"""Domains of ONNX's own operators. Others are implemented by the program that runs the file."""
_MOST_BYTES = 1 << 33
"""Largest size of all values of one image together: ten times what the largest classifiers need."""
_BYTES_OF_VALUE = 4


def check(artifact: Artifact) -> None:
    """Refuse an artifact whose file is damaged, reads other files, or has custom operators.

    Raises:
        PupilaError: the model is damaged, reads other files, has custom operators, or takes too
            much memory.
    """
    check_model(read(artifact.file(".onnx")), artifact.file(".onnx"))


def check_model(model: Any, path: Path) -> None:
    """Refuse a model as `check` does; `path` is where it was read from.

    Raises:
        PupilaError: as `check`.
    """
    if problem := _problem(model):
        raise PupilaError(f"{str(path)!r} {problem}")


def _problem(model: Any) -> str | None:
    """Return what is wrong with a model, as the end of a sentence."""
    if not model.graph.node:
        return "has no operators: expected a whole ONNX model. Copy or export it again."
    if outside := _files_read(model):
        return (
            f"reads its weights from {join_names(map(repr, outside))}: expected all of them in the "
            f"file. Load it with `onnx.load`, and save it with `onnx.save` as one file."
        )
    if custom := _custom_operators(model):
        return (
            f"has the operators {join_names(map(repr, custom))}, which are not ONNX's own: "
            f"refused. Export the model with standard operators alone."
        )
    if (size := _bytes_of_values(model)) > _MOST_BYTES:
        return (
            f"has values of {size:,} bytes together: expected at most {_MOST_BYTES:,}, of one "
            f"image. Export the model again."
        )
    return None


def _files_read(model: Any) -> list[str]:
    """Return the names of the files that hold weights of the model."""
    return sorted(
        {
            next((entry.value for entry in tensor.external_data if entry.key == "location"), "?")
            for tensor in tensors(model)
            if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data
        }
    )


def _custom_operators(model: Any) -> list[str]:
    """Return the operators that neither ONNX nor a function in the model defines."""
    defined = {(function.domain, function.name) for function in model.functions}
    used = {(node.domain, node.op_type) for node in nodes(model)}
    return sorted(f"{domain}.{name}" for domain, name in used - defined if domain not in _STANDARD)


def _bytes_of_values(model: Any) -> int:
    """Estimate the memory of all values whose shapes are known, for one image."""
    return _BYTES_OF_VALUE * sum(
        math.prod(max(length, 1) for length in shape_of(value))
        for graph in graphs(infer_shapes(model).graph)
        for value in graph.value_info
    )
