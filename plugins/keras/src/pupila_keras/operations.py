"""Checks whether running a SavedModel's graph could affect anything outside the model.

TensorFlow runs parts of a SavedModel while loading it, so the graph is checked before loading. The
check determines which nodes will run by the same rules as TensorFlow's loader.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import PurePath
from typing import Any

from pupila import PupilaError
from pupila.errors import join_names
from pupila_keras.allowed_operations import ALLOWED

_RESTORES = frozenset({"Restore", "RestoreSlice", "RestoreV2"})
_CHECKPOINTS = _RESTORES | {"MergeV2Checkpoints", "Save", "SaveSlices", "SaveV2"}
"""Operations that read and write checkpoints. Every SavedModel has some of them, for saving the
model again; loading the model does not run them."""
_INITIALISERS = ("saved_model_main_op", "legacy_init_op", "table_initializer")
"""Names of the collections whose nodes the loader of TensorFlow 1 runs."""

Bodies = dict[str, dict[str, Any]]


def check_operations(saved: Any) -> None:
    """Refuse a `SavedModel` message whose graphs could affect anything outside the model.

    A graph may have operations that read or write checkpoints, but these must not run. There is one
    exception: a model of TensorFlow 1 may restore its variables from the file that the loader
    names.

    Raises:
        PupilaError: an operation is not known to be harmless; the message names it.
    """
    for meta_graph in saved.meta_graphs:
        _check_assets(meta_graph)
        bodies = _bodies(meta_graph.graph_def)
        stored = [node for body in bodies.values() for node in body.values()]
        _refuse(stored, bodies, ALLOWED | _CHECKPOINTS)
        running = _nodes_run(bodies, _fetched(meta_graph), _callable_functions(meta_graph))
        _refuse(running, bodies, ALLOWED)
        _refuse(_restoring(meta_graph, bodies), bodies, ALLOWED)


def _check_assets(meta_graph: Any) -> None:
    """Refuse assets outside the model's folder, as saving the model again would copy them."""
    for asset in meta_graph.asset_file_def:
        if PurePath(asset.filename).name != asset.filename:
            raise PupilaError(f"its asset {asset.filename!r} lies outside of its assets: refused.")


def _refuse(nodes: Iterable[Any], bodies: Bodies, allowed: frozenset[str]) -> None:
    known = import_module("tensorflow.python.framework.op_def_registry").get
    functions = {name for name in bodies if name and known(name) is None}
    refused = {node.op for node in nodes if node.op not in allowed | functions or _calls_back(node)}
    if refused:
        raise PupilaError(
            f"its graph holds {join_names(sorted(refused))}, which may reach outside the model "
            "(files, Python): refused. Export the classifier alone."
        )


def _calls_back(node: Any) -> bool:
    """Return whether a node is a compiled module that calls functions of the running program."""
    return node.op == "XlaCallModule" and b"custom_call" in node.attr["module"].s


def _bodies(graph: Any) -> Bodies:
    """Return the nodes of each function by its name, and the graph's own nodes by the name `""`."""
    bodies = {function.signature.name: function.node_def for function in graph.library.function}
    bodies[""] = graph.node
    return {name: {node.name: node for node in nodes} for name, nodes in bodies.items()}


def _fetched(meta_graph: Any) -> Iterator[str]:
    """Yield the names of the nodes that run directly: the nodes of signatures and initialisers."""
    for signature in meta_graph.signature_def.values():
        for output in signature.outputs.values():
            yield from _tensors(output)
    for name in _INITIALISERS:
        yield from map(_node, meta_graph.collection_def[name].node_list.value)
    variables = meta_graph.collection_def["local_variables"].bytes_list.value
    definition = import_module("tensorflow.core.framework.variable_pb2").VariableDef
    yield from (_node(definition.FromString(variable).initializer_name) for variable in variables)


def _tensors(output: Any) -> Iterator[str]:
    """Yield the names of the nodes that compute one output of a signature."""
    sparse = output.coo_sparse
    names = (
        output.name,
        sparse.values_tensor_name,
        sparse.indices_tensor_name,
        sparse.dense_shape_tensor_name,
    )
    yield from (_node(name) for name in names if name)
    for component in output.composite_tensor.components:
        yield from _tensors(component)


def _callable_functions(meta_graph: Any) -> Iterator[str]:
    """Yield the names of the functions that a loaded model may call."""
    objects = meta_graph.object_graph_def
    yield from objects.concrete_functions
    for node in objects.nodes:
        yield from node.function.concrete_functions
        yield node.bare_concrete_function.concrete_function_name
    for function in meta_graph.graph_def.library.function:
        if "api_implements" in function.attr:  # TensorFlow may use it instead of another
            yield function.signature.name


def _restoring(meta_graph: Any, bodies: Bodies) -> Iterator[Any]:
    """Yield the nodes that run to restore variables, except reads of the model's own checkpoint.

    The loader of TensorFlow 1 runs restoring nodes, and feeds the name of the checkpoint to them.
    The loader of TensorFlow 2, which loads models with an object graph, restores variables without
    running these nodes.
    """
    is_run = not meta_graph.HasField("object_graph_def")
    main, fed = bodies[""], meta_graph.saver_def.filename_tensor_name.removesuffix(":0")
    for node in _nodes_run(bodies, [_node(meta_graph.saver_def.restore_op_name)], ()):
        if node.op in _RESTORES and not is_run:
            continue
        is_own = main.get(node.name) is node and "".join(node.input[:1]).removesuffix(":0") == fed
        if node.op not in _RESTORES or not is_own:
            yield node


def _node(reference: str) -> str:
    """Return the node name in a reference such as `name:0` (an output) or `^name` (completion)."""
    return reference.removeprefix("^").partition(":")[0]


def _needed(body: dict[str, Any], names: Iterable[str]) -> set[str]:
    """Return the names of the named nodes, and of all nodes that run before these."""
    needed: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in body and name not in needed:
            needed.add(name)
            pending += [_node(reference) for reference in body[name].input]
    return needed


def _nodes_run(bodies: Bodies, names: Iterable[str], functions: Iterable[str]) -> Iterator[Any]:
    """Yield all nodes that run to compute the nodes `names`, or when `functions` are called.

    Every node of a called function is included, as TensorFlow runs nodes with side effects even if
    nothing needs their output.
    """
    nodes = [bodies[""][name] for name in _needed(bodies[""], names)]
    pending: list[str] = list(functions)
    seen = {""}
    while nodes or pending:
        for node in nodes:
            yield node
            pending += _called(node)
        pending = [name for name in pending if name in bodies and name not in seen]
        nodes = list(bodies[pending[-1]].values()) if pending else []
        seen.update(pending[-1:])


def _called(node: Any) -> Iterator[str]:
    """Yield the names of the functions that a node may call."""
    yield node.op
    pending = list(node.attr.values())
    while pending:
        value = pending.pop()
        for function in (value.func, *value.list.func):
            yield function.name
            pending += function.attr.values()
