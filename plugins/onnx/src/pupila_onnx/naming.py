"""Gives the values of an ONNX model names that depend on the model alone.

Converters number names by counters of the process, so the same model would get another digest each
time. Short names also make the file smaller.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pupila_onnx.files import BATCH, INPUT, OUTPUT, graphs, nodes

_STANDARD = ("", "ai.onnx")


def rename(model: Any) -> None:
    """Number the values of a model with one input and one output, in the order of their use.

    Initialisers are sorted in the same way. Names of nodes, texts of documentation and operator
    sets that are not used are left out.
    """
    graph = model.graph
    names = {"": "", graph.input[0].name: INPUT, graph.output[0].name: OUTPUT}
    inner = [*graphs(graph)]
    for node in (node for part in inner for node in part.node):
        node.name = node.doc_string = ""
        _replace(node.input, names)
        _replace(node.output, names)
    for part in inner:
        for value in (*part.input, *part.output, *part.initializer):
            value.name = _new_name(value.name, names)
            value.doc_string = ""
        del part.value_info[:]
        part.name, part.doc_string = "model", ""
    initializers = sorted(graph.initializer, key=lambda tensor: int(tensor.name))
    del graph.initializer[:]
    graph.initializer.extend(initializers)
    for value in (graph.input[0], graph.output[0]):
        first = value.type.tensor_type.shape.dim[0]
        if not first.HasField("dim_value"):
            first.dim_param = BATCH
    _drop_unused_domains(model)
    model.doc_string = ""
    del model.metadata_props[:]


def _replace(old: Any, names: dict[str, str]) -> None:
    """Replace the names in a list of a protobuf."""
    new = [_new_name(name, names) for name in old]
    del old[:]
    old.extend(new)


def _new_name(name: str, names: dict[str, str]) -> str:
    return names.setdefault(name, str(len(names)))


def _drop_unused_domains(model: Any) -> None:
    used: Iterable[str] = {node.domain for node in nodes(model)}
    kept = [entry for entry in model.opset_import if entry.domain in (*_STANDARD, *used)]
    del model.opset_import[:]
    model.opset_import.extend(kept)
