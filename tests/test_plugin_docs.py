"""What docs/plugins.md shows of each kind of plugin is a plugin that works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pupila.plugin_checks import checks_of
from pupila.plugin_registry import installed
from pupila.testing import plugin_installed

PAGE = Path(__file__).resolve().parent.parent / "docs" / "plugins.md"
SECTIONS = dict(re.findall(r"(?ms)^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text()))


def plugin_code(text: str) -> str:
    """Return the first block of code with a hook; empty if there is none."""
    blocks = re.findall(r"(?s)```python\n(.*?)```", text)
    return next((block for block in blocks if "@hookimpl" in block), "")


CODE = {title: code for title, text in SECTIONS.items() if (code := plugin_code(text))}
del CODE["Tasks"]  # a part of examples/regression, which has tests of its own
LATER_MODULE = "it is listed without importing a framework"
"""A command belongs into a module of its own, which one block of code cannot show."""


def test_every_kind_of_plugin_is_shown():
    hooks = set(re.findall(r"^def (pupila_\w+)\(", "".join(SECTIONS.values()), re.MULTILINE))
    assert hooks == set(re.findall(r"\| `(pupila_\w+)`: ", PAGE.read_text()))


@pytest.mark.parametrize("title", CODE)
def test_the_code_of_a_section_is_a_plugin_that_passes_every_check(title: str, tmp_path: Path):
    name = "shown-" + title.lower().replace(" ", "-")
    with plugin_installed(tmp_path, name, name.replace("-", "_"), CODE[title]):
        registry = installed()
        assert not registry.broken
        shown_plugins = [e.plugin for e in registry.plugins if e.distribution == name]
        assert shown_plugins
        faults = [
            fault
            for plugin in shown_plugins
            for check in checks_of(type(plugin))
            if (plugin.kind, check.sentence) != ("command", LATER_MODULE)
            if (fault := check.fault(plugin))
        ]
    assert not faults
