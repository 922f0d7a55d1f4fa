"""Checks of the section `external`, and of what the gate asks of it."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.errors import PupilaError, nearest
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake


def images(context: Context) -> Iterator[Mistake]:
    """The images must be there, and their labels must be classes of the data."""
    found = yield from context.external.checked()
    if not found:
        return
    classes = yield from context.labels.checked()
    for each in found if classes else ():
        try:
            each.listing.with_classes(classes, each.section.map)
        except PupilaError as error:
            yield ("external", each.name), str(error)


def asked(context: Context) -> Iterator[Mistake]:
    """The gate must ask of sets that there are, and margins of those that have labels."""
    recipe = context.recipe
    if recipe is None or recipe.gate is None:
        return
    gate, location = recipe.gate.external, ("gate", "external")
    if recipe.gate.external.model_fields_set and not recipe.external:
        yield location, "the gate asks of images of other places, and the recipe has no `external`."
        return
    labelled = {each.name for each in context.external.value if each.listing.labels}
    for number, name in enumerate(gate.sets or ()):
        if name not in recipe.external:
            yield (
                (*location, "sets", number),
                f"{name!r} is no set of `external`.{nearest(name, recipe.external)}",
            )
        elif name not in labelled and gate.fidelity is None:
            yield (
                (*location, "sets", number),
                f"{name!r} has no labels, so no margin can be asked there: ask for `fidelity`, or "
                f"leave it out.",
            )
