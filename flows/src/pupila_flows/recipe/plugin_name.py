"""Names of plugins in a recipe, which may begin with the plugin's package."""

from __future__ import annotations

from collections.abc import Callable

from pupila.plugin import Plugin
from pupila.plugin_registry import installed


def plugin_name(kind: type[Plugin]) -> Callable[[str], str]:
    """Return a validator that turns the name of a plugin of this kind into its descriptor's name.

    So `pupila-distill/distill` becomes `distill` unless another package has a `distill` too. Names
    that are unknown, or those of several plugins, stay as they are: checks of the plan report them.
    """

    def name_in_descriptor(written: str) -> str:
        plugin = installed().get(kind, written)
        return plugin.name if plugin else written

    return name_in_descriptor
