"""The command line as a group of commands that plugins bring; each is imported when it is used."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from pupila.errors import PupilaError
from pupila.plugin import Command
from pupila.plugin_registry import installed

OWN = "pupila-flows"
"""Distribution of Pupila's own commands, which the help lists first and without its name."""


class CommandGroup(TyperGroup):
    """All installed commands; in the help, those of a package are in a panel with its name."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        entries = [
            (entry, entry.plugin)
            for entry in installed().plugins
            if isinstance(entry.plugin, Command)
        ]
        for entry, plugin in sorted(entries, key=lambda pair: pair[0].distribution != OWN):
            self.commands[plugin.name] = ListedCommand(entry.distribution, plugin)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name, with or without its package; None if there is none.

        Raises:
            PupilaError: several packages have a command of this name.
        """
        for clash in installed().clashes:
            if (clash.namespace, clash.name) == (Command.kind, cmd_name) and not clash.owner:
                raise PupilaError(str(clash))
        plugin = installed().get(Command, cmd_name)
        return plugin and self.commands.get(plugin.name)


class ListedCommand(TyperCommand):
    """A command as the help lists it; its code is imported when it gets its arguments."""

    def __init__(self, distribution: str, plugin: Command) -> None:
        panel = plugin.panel or distribution
        super().__init__(name=plugin.name, help=plugin.summary, rich_help_panel=panel)
        self._plugin = plugin

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        return self.load().make_context(info_name, args, parent, **extra)

    def load(self) -> Any:
        """Return the command of a Typer app or of a function."""
        group, name = typer.Typer(), self._plugin.name
        with installed().calling(self._plugin):
            code = self._plugin.load()
            epilog = f"Example: {self._plugin.example}" if self._plugin.example else None
            if isinstance(code, typer.Typer):
                group.add_typer(code, name=name, epilog=epilog)
            else:
                group.command(name, epilog=epilog)(code)
            return get_group(group).commands[name]
