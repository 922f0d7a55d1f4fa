"""Settings of the technique `threshold`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from pupila import Config, Runner, installed
from pupila.errors import check_class

_SENSITIVITY = 0.95
"""Target sensitivity if a recipe sets neither sensitivity nor specificity."""


class Operating(Config):
    """Settings of `threshold`: the positive class, and the metric that the threshold must reach."""

    positive: str = Field(description="Class whose probability is compared with the threshold.")
    sensitivity: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Lowest fraction of the positive validation images to detect; 0.95 if neither "
        "this nor `specificity` is given.",
    )
    specificity: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Lowest fraction of the other validation images not to call positive.",
    )

    @model_validator(mode="after")
    def _wants_one(self) -> Self:
        if self.sensitivity is not None and self.specificity is not None:
            raise ValueError(
                f"`sensitivity` is {self.sensitivity!r} and `specificity` {self.specificity!r}: "
                f"one threshold cannot guarantee both, so leave one out"
            )
        return self

    def check_classes(self, classes: Sequence[str]) -> None:
        check_class("positive", self.positive, classes)

    def uses(self) -> Sequence[Runner]:
        """Return the runners that may run the model, as the threshold depends on their outputs."""
        return [runner for runner in installed().all(Runner) if runner.primary]

    @property
    def target(self) -> tuple[Literal["sensitivity", "specificity"], float]:
        """What the threshold must reach: the name of the metric, and its value as a fraction."""
        if self.specificity is not None:
            return "specificity", self.specificity
        return "sensitivity", _SENSITIVITY if self.sensitivity is None else self.sensitivity
