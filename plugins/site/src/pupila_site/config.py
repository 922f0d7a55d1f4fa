"""Settings of the exporter `site`."""

from __future__ import annotations

from pydantic import Field

from pupila import Config, PupilaError
from pupila.errors import list_names


class Site(Config):
    """Settings of `site`."""

    title: str = Field(
        default="", description="Title of the page; one in the visitor's language where empty."
    )
    names: tuple[str, ...] | None = Field(
        default=None,
        description="What the page calls each input, in order; by default, what made it.",
    )
    gate: str | None = Field(
        default=None,
        description=(
            "Class that the last input, a gate, lets through: it tells images of the right kind "
            "from others, and the page warns where it has doubts. No gate where this is left out."
        ),
    )

    def check_inputs(self, count: int) -> None:
        """Make sure that a model is left beside the gate, and that each input has a name."""
        if self.gate is not None and count < 2:
            raise PupilaError(
                f"`gate: {self.gate}` makes the last input a gate, and there is no other: give at "
                f"least one model before it, or leave `gate` out."
            )
        if self.names is not None and len(self.names) != count:
            raise PupilaError(
                f"`names` has {len(self.names)} names, {list_names(self.names)}, for {count} "
                f"inputs: give one for each, in the same order."
            )
