"""Checks of the section `publish`."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.errors import nearest
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.recipe.graph import unproven


def artifacts(context: Context) -> Iterator[Mistake]:
    """Check that everything to publish is made by a step."""
    recipe = context.recipe
    if recipe is None or recipe.publish is None:
        return
    for number, name in enumerate(recipe.publish.artifacts):
        if name not in recipe.steps:
            yield (
                ("publish", "artifacts", number),
                f"{name!r} is not a step: only what a step made is published."
                f"{nearest(name, recipe.steps)}",
            )


def destination(context: Context) -> Iterator[Mistake]:
    """Check that the address of the registry is valid."""
    yield from context.model_registry.mistakes


def withheld(context: Context) -> Iterator[Mistake]:
    """Check that the gate checks every model to publish.

    A model that the gate does not check would always be withheld.
    """
    recipe, graph = context.recipe, context.graph
    if recipe is None or recipe.gate is None or recipe.publish is None:
        return
    checked = recipe.gate.steps or graph.default_gate_steps()
    for number, name in enumerate(recipe.publish.artifacts):
        missing = next(filter(graph.is_evaluated, unproven(graph, name, checked)), None)
        if missing:
            yield (
                ("publish", "artifacts", number),
                f"{name!r} would always be withheld, as the gate does not check {missing!r}: name "
                f"that in `gate.steps`, or leave {name!r} out.",
            )
