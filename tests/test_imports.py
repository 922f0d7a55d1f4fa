"""Imports run one way: no module of a package reaches itself again, not even late."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [ROOT / "core/src", ROOT / "flows/src", *sorted(ROOT.glob("plugins/*/src"))]

_IMPLEMENTATION = re.compile(r"([a-z_]\w*(?:\.\w+)*):\w+")
"""How a descriptor names the function that is imported when it is needed: `package.module:name`."""


def modules_of(source: Path) -> dict[str, Path]:
    """Return the files of a source folder by the name of their module."""
    files = {file.relative_to(source): file for file in source.rglob("*.py")}
    return {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): file
        for path, file in files.items()
    }


def named(tree: ast.Module, module: str) -> Iterator[str]:
    """Yield what a module imports: at the top, in functions, for types alone, by a descriptor."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(origin)):
                yield from (f"{origin}.{alias.name}" for alias in node.names)
            case ast.Constant(value=str(text)):
                yield from _IMPLEMENTATION.findall(text) if _IMPLEMENTATION.fullmatch(text) else ()
            case ast.JoinedStr(
                values=[
                    ast.FormattedValue(value=ast.Name(id="__name__")),
                    ast.Constant(value=str(text)),
                ]
            ):
                yield from _IMPLEMENTATION.findall(module + text)
            case _:
                pass


def imports(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return the modules among these that each of them imports."""
    targets_of: dict[str, set[str]] = {}
    for module, file in modules.items():
        targets = {_module(name, modules) for name in named(ast.parse(file.read_text()), module)}
        targets_of[module] = {target for target in targets if target} - {module}
    return targets_of


def _module(name: str, modules: Mapping[str, Path]) -> str:
    """Return the module that a dotted name is, or is part of; nothing where it is not of ours."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.parent.name)
def test_no_imports_run_in_a_circle(source: Path):
    graph = imports(modules_of(source))
    assert graph
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' ← '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("listed", "implemented", "is_circle"),
    [
        ("X = 'package.work:do'", "from package import Settings", True),
        ("X = f'{__name__}.work:do'", "from package import Settings", True),
        ("from package import settings\nX = 'package.work:do'", "import package.settings", False),
        ("from package.work import do", "def do():\n    import package", True),
        ("from package.work import do", "if TYPE_CHECKING:\n    from package import X", True),
        ("from package.work import do", "from package import settings", False),
    ],
)
def test_a_circle_is_seen_however_late_it_closes(
    listed: str, implemented: str, is_circle: bool, tmp_path: Path
):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text(listed)
    (package / "work.py").write_text(implemented)
    (package / "settings.py").write_text("")
    graph = imports(modules_of(tmp_path))
    assert set(graph) == {"package", "package.work", "package.settings"}
    assert ("package" in graph["package.work"] and "package.work" in graph["package"]) == is_circle


def test_the_floors_in_the_architecture_are_those_of_the_import_contract():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = (rule for rule in settings["contracts"] if rule["name"] == "The floors of flows")
    _, section = (ROOT / "ARCHITECTURE.md").read_text().split("## The floors of flows\n")
    picture = section.split("```")[1]
    floors = [re.split("  +", line)[0] for line in picture.strip().splitlines()]
    assert ["__main__", *floors] == contract["layers"]
    assert contract["exhaustive"] is True


def test_every_module_of_flows_is_named_in_the_architecture():
    text, flows = (ROOT / "ARCHITECTURE.md").read_text(), ROOT / "flows/src/pupila_flows"
    named_as_a_whole = {"search", "sweep", "hard_negatives", "open_set", "synthetic"}
    files = [file for file in flows.rglob("*.py") if named_as_a_whole.isdisjoint(file.parts)]
    modules = {file.stem for file in files} - {"__init__", "__main__"}
    assert len(modules) > 100
    assert not {name for name in modules if not re.search(rf"\b{name}\b", text)}
