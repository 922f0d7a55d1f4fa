"""Checks of the section `publish`."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.errors import nearest
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake


def artifacts(context: Context) -> Iterator[Mistake]:
    """Only what a step makes can be published."""
    recipe = context.recipe
    if recipe is None or recipe.publish is None:
        return
    for number, name in enumerate(recipe.publish.artifacts):
        if name not in recipe.steps:
            yield (
                ("publish", "artifacts", number),
                f"{name!r} is no step: only what a step made is published."
                f"{nearest(name, recipe.steps)}",
            )


def destination(context: Context) -> Iterator[Mistake]:
    """The registry must have an address that can be opened."""
    yield from context.model_registry.mistakes


def withheld(context: Context) -> Iterator[Mistake]:
    """The gate must judge what is to be published, or it would always be withheld."""
    recipe, graph = context.recipe, context.graph
    if recipe is None or recipe.gate is None or recipe.publish is None:
        return
    judged = recipe.gate.steps or graph.judged_by_default()
    for number, name in enumerate(recipe.publish.artifacts):
        missing = next(filter(graph.is_judged, graph.unproven(name, judged)), None)
        if missing:
            yield (
                ("publish", "artifacts", number),
                f"{name!r} would always be withheld, as the gate does not judge {missing!r}: name "
                f"that in `gate.steps`, or leave {name!r} out.",
            )
