"""Whether the code that a plugin names exists is known without importing it."""

from __future__ import annotations

import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest

from pupila.implementations import implementation_fault
from pupila.plugin import Plugin
from pupila.plugin_registry import installed

MODULE = """
raise RuntimeError("imported")

import os.path as paths
from json import dumps
if paths:
    def function():
        inner = 1
else:
    async def later(): ...
try:
    constant: int = 1
except ImportError:
    first, (second, *others) = 1, (2, 3)


class Opened:
    method = None
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gentle_code"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "deep" / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "deep" / "code.py").write_text(MODULE)
    (folder / "star.py").write_text("from json import *")
    (folder / "lazy.py").write_text("def __getattr__(name): ...")
    (folder / "made.py").write_text("for name in 'ab':\n    globals()[name] = print")
    (folder / "broken.py").write_text("def (")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    invalidate_caches()


def fault(implementation: str) -> str | None:
    fault = implementation_fault(Plugin(name="x", summary="-", implementation=implementation))
    assert not any(name.startswith("gentle_code") for name in sys.modules)
    return fault


@pytest.mark.parametrize(
    "implementation",
    [
        *(
            f"gentle_code.deep.code:{name}"
            for name in ("function", "later", "constant", "first", "second", "others", "Opened")
        ),
        *("gentle_code.deep.code:paths", "gentle_code.deep.code:dumps"),
        *("gentle_code.star:any", "gentle_code.lazy:any", "gentle_code.made:a"),
        *("math:sqrt", "json:dumps", f"{__name__}:fault"),
    ],
)
def test_existing_code_is_found_without_importing_it(implementation: str):
    assert fault(implementation) is None


@pytest.mark.parametrize(
    ("implementation", "message"),
    [
        ("gentle_code.deep.code:functoin", "has no 'functoin'. Did you mean 'function'?"),
        ("gentle_code.deep.code:inner", "module 'gentle_code.deep.code' has no 'inner'"),
        ("gentle_code.deep.code:method", "has no 'method'"),
        ("gentle_code.deep.cod:function", "module 'gentle_code.deep.cod' was not found"),
        ("gentle_code.star.more:any", "module 'gentle_code.star.more' was not found"),
        ("no_such_code:any", "module 'no_such_code' was not found"),
        ("gentle_code.broken:any", "module 'gentle_code.broken' cannot be read: SyntaxError"),
        ("gentle_code.deep.code", "expected 'module:function'"),
        ("gentle_code.deep.code:Opened.method", "expected 'module:function'"),
        ("", "expected 'module:function'"),
    ],
)
def test_missing_code_is_reported(implementation: str, message: str):
    assert message in str(fault(implementation))


def test_the_code_of_all_installed_plugins_is_found():
    faults = {
        entry.plugin.name: implementation_fault(entry.plugin) for entry in installed().plugins
    }
    assert {name: fault for name, fault in faults.items() if fault} == {}
