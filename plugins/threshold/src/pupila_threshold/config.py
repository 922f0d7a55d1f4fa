"""Settings of the technique `threshold`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from pupila import Config, Runner, installed
from pupila.errors import check_class

_SENSITIVITY = 0.95
"""What is wanted where a recipe names neither."""


class Operating(Config):
    """From which probability on an image is called positive."""

    positive: str = Field(description="Class whose probability is compared with the threshold.")
    sensitivity: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Least fraction of the positive validation images that is to be found; 0.95 "
        "where neither this nor `specificity` is given.",
    )
    specificity: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Least fraction of the other validation images that is not to be called "
        "positive.",
    )

    @model_validator(mode="after")
    def _wants_one(self) -> Self:
        if self.sensitivity is not None and self.specificity is not None:
            raise ValueError(
                f"`sensitivity` is {self.sensitivity!r} and `specificity` {self.specificity!r}: "
                f"one threshold cannot promise both, so leave one out"
            )
        return self

    def check_classes(self, classes: Sequence[str]) -> None:
        check_class("positive", self.positive, classes)

    def uses(self) -> Sequence[Runner]:
        """Return the runtimes that may answer: what is chosen depends on them."""
        return [each for each in installed().all(Runner) if each.primary]

    @property
    def wanted(self) -> tuple[Literal["sensitivity", "specificity"], float]:
        """Name of the figure that is to be reached, and how much of it."""
        if self.specificity is not None:
            return "specificity", self.specificity
        return "sensitivity", _SENSITIVITY if self.sensitivity is None else self.sensitivity
