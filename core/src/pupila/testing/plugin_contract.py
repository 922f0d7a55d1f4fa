"""The base of all contracts: the checks that every plugin of a kind must pass."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from typing import ClassVar, TypeVar

import pytest

from pupila.plugin import Plugin
from pupila.plugin_checks import PluginCheck, checks_of
from pupila.plugin_registry import installed

KindT = TypeVar("KindT", bound=Plugin)


class PluginContract:
    """Tests that all plugins have in common: those of `pupila plugins --check`, one by one."""

    plugin: ClassVar[str]
    """Name of the installed plugin."""
    kind: ClassVar[type[Plugin]]
    """Class of its descriptor; set by the contract."""

    @classmethod
    def descriptor(cls, kind: type[KindT]) -> KindT:
        """Return the installed plugin, which must be of a kind."""
        plugin = installed().get(kind, cls.plugin)
        names = [other.name for other in installed().all(cls.kind)]
        skipped = installed().skipped()
        assert plugin, f"no {cls.kind.kind} {cls.plugin!r} is installed, only {names}.{skipped}"
        return plugin

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a test of each check."""
        if "check_of_kind" in metafunc.fixturenames:
            checks = checks_of(self.kind)
            names = [check.sentence.replace(" ", "_") for check in checks]
            metafunc.parametrize("check_of_kind", checks, ids=names)

    def test_a_plugin_of_its_kind(self, check_of_kind: PluginCheck) -> None:
        fault = check_of_kind.fault(self.descriptor(self.kind))
        assert fault is None, fault
