"""The contract of commands: what Pupila relies on in everything that runs as `pupila NAME`."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pupila.plugin import Command
from pupila.testing.plugin_contract import PluginContract


class CommandContract(PluginContract):
    """Tests of a command: inherit as `class TestMine(CommandContract)` and set `plugin`.

    They need Typer, which the package of a command requires.
    """

    kind = Command

    @classmethod
    def arguments(cls, folder: Path) -> Sequence[str]:
        """Return arguments with which it ends well; files for it may be made in `folder`."""
        del folder
        return ()

    @pytest.fixture
    def command(self) -> Command:
        return self.descriptor(Command)

    def test_its_help_says_what_it_does(self, command: Command) -> None:
        ended = _invoke(command, "--help")
        assert ended.exit_code == 0, ended.output
        code = command.load()
        text = inspect.getdoc(code) if inspect.isfunction(code) else code.info.help  # pyright: ignore[reportFunctionMemberAccess] - of a Typer app
        assert text, "write a docstring, or `help` of the Typer app"

    def test_it_runs(self, command: Command, tmp_path: Path) -> None:
        ended = _invoke(command, *self.arguments(tmp_path))
        assert ended.exit_code == 0, ended.output


def _invoke(command: Command, *arguments: str) -> Any:
    from typer import Typer
    from typer.testing import CliRunner

    code: Any = command.load()
    app = code
    if not isinstance(code, Typer):
        app = Typer()
        app.command()(code)
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)
