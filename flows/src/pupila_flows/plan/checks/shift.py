"""Checks of the section `shift`."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.errors import PupilaError
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake


def families(context: Context) -> Iterator[Mistake]:
    """Check that families of alterations are installed, and that each is named only once."""
    section = context.recipe.shift if context.recipe else None
    seen: set[str] = set()
    for number, name in enumerate(section.families if section else ()):
        try:
            context.plugins.shift(name)
        except PupilaError as error:
            yield ("shift", "families", number), str(error)
        if name in seen:
            yield ("shift", "families", number), f"{name!r} is named twice: name it once."
        seen.add(name)
