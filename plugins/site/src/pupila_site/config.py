"""Settings of the exporter `site`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from pupila import Config, PupilaError
from pupila.cropping import MARGIN
from pupila.errors import list_names


class Site(Config):
    """Settings of `site`."""

    former_names: ClassVar[Mapping[str, str]] = {"gate": "filter"}

    title: str = Field(
        default="", description="Title of the page; by default, one in the visitor's language."
    )
    names: tuple[str, ...] | None = Field(
        default=None,
        description="Name of each input on the page, in order; by default, the step that made it.",
    )
    filter: str | None = Field(
        default=None,
        description=(
            "Class of images that the models are meant for. The last input is then a filter, a "
            "model that recognises this class: the page warns of images that it does not accept."
        ),
    )

    margin: float | None = Field(
        default=None,
        ge=1,
        le=10,
        description=(
            "Side of the crop that a page of `localization` models shows, as a multiple of the "
            f"larger of width and height of what was found; by default {MARGIN}."
        ),
    )

    def check_inputs(self, count: int) -> None:
        """Check that the settings fit a step with `count` inputs.

        Raises:
            PupilaError: the filter is the only input, or the number of names differs from `count`.
        """
        if self.filter is not None and count < 2:
            raise PupilaError(
                f"`filter: {self.filter}` makes the last input a filter, and there is no other: "
                f"give at least one model before it, or leave `filter` out."
            )
        if self.names is not None and len(self.names) != count:
            raise PupilaError(
                f"`names` has {len(self.names)} names, {list_names(self.names)}, for {count} "
                f"inputs: give one for each, in the same order."
            )
