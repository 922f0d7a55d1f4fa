"""Warnings about the steps of a valid recipe, as their plugins give them."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.plugin_registry import installed
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake


def warnings_of(context: Context) -> Iterator[Mistake]:
    """Yield what users should know of each step before a run; nothing in the recipe is wrong."""
    for name, step in context.steps.value.by_name.items():
        with installed().calling(step.plugin):
            messages = tuple(step.config.warnings(context.given_models(step)))
        yield from ((("steps", name), f"{name}: {message}") for message in messages)
