"""`model_copy(update={…})` does not check names: each must be a field of one of our models."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def fields_of(tree: ast.AST) -> Iterator[str]:
    """Yield every name that a class of a module annotates."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                    yield line.target.id


def updates_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of every value that a copy of a model changes."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        for keyword in node.keywords if node.func.attr == "model_copy" else ():
            if isinstance(keyword.value, ast.Dict):
                for key in keyword.value.keys:
                    if isinstance(key, ast.Constant):
                        yield node.lineno, str(key.value)


def test_copies_of_models_change_only_fields():
    files = sorted(ROOT.glob("*/src/**/*.py")) + sorted(ROOT.glob("plugins/*/src/**/*.py"))
    trees = {file: ast.parse(file.read_text()) for file in files}
    fields = {name for tree in trees.values() for name in fields_of(tree)}
    updates = [(file, *update) for file, tree in trees.items() for update in updates_of(tree)]
    assert len(updates) > 20
    unknown = [
        f"{file.name}, line {line}: {name}" for file, line, name in updates if name not in fields
    ]
    assert not unknown
