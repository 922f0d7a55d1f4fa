"""The recipe's section `shift`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from pupila.fidelity import LEAST_IMAGES
from pupila.plugin import Shift
from pupila.shift import FAMILIES
from pupila.shift_suite import IMAGES
from pupila_flows.recipe.plugin_name import plugin_name
from pupila_flows.recipe.section import Section

_Family = Annotated[str, AfterValidator(plugin_name(Shift))]


class ShiftSection(Section):
    """Compares pupils with their teachers on images altered to resemble those of other places."""

    families: Annotated[tuple[_Family, ...], Field(min_length=1)] = Field(
        default=FAMILIES,
        description="Families of alterations, by name (see `pupila plugins`); by default Pupila's "
        "own.",
    )
    images: int = Field(
        default=IMAGES,
        ge=3 * LEAST_IMAGES,
        le=10_000,
        description="Number of images of each family at the middle severity, drawn evenly from the "
        "classes. The other severities use a third of them.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        description="Seed of the alterations, which do not depend on the seed of the run.",
    )
