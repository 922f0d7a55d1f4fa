"""Checks of the section `external`, and of what the gate asks on external images."""

from __future__ import annotations

from collections.abc import Iterator

from pupila.errors import PupilaError, nearest
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake


def images(context: Context) -> Iterator[Mistake]:
    """Check that the labels of external images, renamed by `map`, are classes of the data.

    Images that cannot be found or read are reported too.
    """
    planned = yield from context.external.check()
    if not planned:
        return
    classes = yield from context.labels.check()
    for external in planned if classes else ():
        try:
            external.listing.with_classes(classes, external.section.map)
        except PupilaError as error:
            yield ("external", external.name), str(error)


def margins(context: Context) -> Iterator[Mistake]:
    """Check that the gate names existing sets, and asks for margins only on sets with labels."""
    recipe = context.recipe
    if recipe is None or recipe.gate is None:
        return
    gate, location = recipe.gate.external, ("gate", "external")
    if recipe.gate.external.model_fields_set and not recipe.external:
        yield location, "the gate asks of images of other places, and the recipe has no `external`."
        return
    labelled = {planned.name for planned in context.external.value if planned.listing.labels}
    for number, name in enumerate(gate.sets or ()):
        if name not in recipe.external:
            yield (
                (*location, "sets", number),
                f"{name!r} is not a set of `external`.{nearest(name, recipe.external)}",
            )
        elif name not in labelled and gate.fidelity is None:
            yield (
                (*location, "sets", number),
                f"{name!r} has no labels, so no margin can be asked there: ask for `fidelity`, or "
                f"leave it out.",
            )
