"""Decides, from a SavedModel's graph alone, whether it would reach outside the model.

TensorFlow runs parts of a SavedModel while it loads it, so the graph is judged before that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from pupila import PupilaError

_OUTSIDE = (
    "*Dataset*",
    "*Iterator*",
    "*PyFunc*",
    "*Reader*",
    "*Rpc*",
    "*Summary*",
    "*TRT*",
    "*VocabRemapping",
    "CalibrationStatisticsSaver",
    "Debug*",
    "DumpTensor",
    "FileSystem*",
    "FixedUnigramCandidateSampler",
    "ImmutableConst",
    "InitializeTableFromTextFile*",
    "LoadAndRemapMatrix",
    "MatchingFiles",
    "Print*",
    "ReadFile",
    "RecordInput",
    "Skipgram",
    "WriteFile",
)
"""Operations that read or write files, speak to other machines, print, or call Python."""
_WRITES_CHECKPOINTS = ("*Save", "*SaveV2", "MergeV2Checkpoints", "SaveSlices")
_CHECKPOINTS = (*_WRITES_CHECKPOINTS, "*Restore", "*RestoreV2", "RestoreSlice")
"""Every SavedModel has some, for TensorFlow's own saver."""


def check_operations(saved: Any) -> None:
    """Refuse a `SavedModel` message whose graphs would reach outside the model.

    Raises:
        PupilaError: an operation reads or writes files, or calls Python, or touches a checkpoint
            elsewhere than in the saver; the message names it.
    """
    for part in saved.meta_graphs:
        bodies = _bodies(part.graph_def)
        _refuse((node.op for body in bodies.values() for node in body.values()), _OUTSIDE)
        main = bodies[""]
        restore = _needed(main, [_node(part.saver_def.restore_op_name)])
        saver = restore | _needed(main, [_node(part.saver_def.save_tensor_name)])
        others = _needed(main, set(main) - saver)
        functions = part.object_graph_def.concrete_functions
        _refuse(_run(bodies, others, functions), _CHECKPOINTS)
        _refuse(_run(bodies, restore, ()), _WRITES_CHECKPOINTS)


def _refuse(operations: Iterable[str], patterns: tuple[str, ...]) -> None:
    names = sorted(set(operations))
    found = [name for name in names if any(fnmatchcase(name, each) for each in patterns)]
    if found:
        raise PupilaError(
            f"its graph holds {', '.join(found)}, which reach outside the model (files, Python): "
            "refused. Export the classifier alone."
        )


def _bodies(graph: Any) -> dict[str, dict[str, Any]]:
    """Return the nodes of each function by name; those of the graph itself under no name."""
    bodies = {each.signature.name: each.node_def for each in graph.library.function}
    bodies[""] = graph.node
    return {name: {node.name: node for node in nodes} for name, nodes in bodies.items()}


def _node(reference: str) -> str:
    """Return the name of a node from a reference to one of its outputs, or to its completion."""
    return reference.removeprefix("^").partition(":")[0]


def _needed(body: dict[str, Any], names: Iterable[str]) -> set[str]:
    """Return the nodes named and all that run before them."""
    needed: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in body and name not in needed:
            needed.add(name)
            pending += [_node(reference) for reference in body[name].input]
    return needed


def _run(
    bodies: dict[str, dict[str, Any]], names: Iterable[str], functions: Iterable[str]
) -> Iterator[str]:
    """Yield the operations of nodes of the graph and of functions, and of all they call."""
    nodes = [bodies[""][name] for name in names]
    pending: list[str] = list(functions)
    seen = {""}
    while nodes or pending:
        for node in nodes:
            yield node.op
            pending += _called(node)
        pending = [name for name in pending if name in bodies and name not in seen]
        nodes = list(bodies[pending[-1]].values()) if pending else []
        seen.update(pending[-1:])


def _called(node: Any) -> Iterator[str]:
    """Yield the functions that a node may call."""
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (function.name for function in value.list.func)
