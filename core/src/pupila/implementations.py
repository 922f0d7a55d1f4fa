"""Checks that the code a plugin names exists, without importing it.

Importing a module may import TensorFlow, which takes seconds. Finding the module's file and
parsing the names that it defines takes milliseconds.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from pupila.errors import nearest
from pupila.plugin import Plugin


def implementation_fault(plugin: Plugin) -> str | None:
    """Return why a plugin's implementation cannot be found; None if it exists or might exist.

    Some modules define names only when they run (`from x import *`, a `__getattr__`, `globals()`).
    In such a module, every name is assumed to exist.
    """
    module, _, attribute = plugin.implementation.partition(":")
    if not module or not attribute.isidentifier():
        return "expected 'module:function'"
    if module in sys.modules and hasattr(sys.modules[module], attribute):
        return None
    spec = _spec(module)
    if spec is None:
        return f"module {module!r} was not found"
    if not spec.has_location or not spec.origin or not spec.origin.endswith(".py"):
        return None  # compiled: only an import could tell
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        return f"module {module!r} cannot be read: {type(error).__name__}: {error}"
    names = set(_bound(tree))
    if attribute in names or _binds_while_running(tree, names):
        return None
    return f"module {module!r} has no {attribute!r}.{nearest(attribute, names)}".rstrip(".")


def _spec(module: str) -> ModuleSpec | None:
    """Find a module without importing its parent packages; `find_spec` would import them."""
    top, *rest = module.split(".")
    name = top
    try:
        spec = find_spec(top)
    except ValueError:  # some module in `sys.modules` has no spec
        return None
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return spec


def _binds_while_running(tree: ast.AST, names: set[str]) -> bool:
    return not names.isdisjoint({"*", "__getattr__"}) or any(
        isinstance(node, ast.Global)
        or (isinstance(node, ast.Name) and node.id in ("globals", "vars", "exec", "setattr"))
        for node in ast.walk(tree)
    )


def _bound(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module may define; `*` stands for all names of another module."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
                continue  # names defined inside are local
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name.partition(".")[0]
            case _:
                pass
        yield from _bound(node)
