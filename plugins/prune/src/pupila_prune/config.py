"""Settings of the techniques: what is cut, and how what is left is retrained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import Field, model_validator

from pupila.training.schedule import EpochChoice, Schedule
from pupila.views import Augmentation

Saliency = Literal["taylor", "magnitude"]
Scope = Literal["layer", "global"]
Pattern = Literal["2:4"]

_OF_THE_PATTERN: dict[str, Any] = {"sparsity": 0.5, "rounds": 1, "scope": "layer"}
"""Of four weights two go, at once, within one kernel: what `pattern` leaves no choice of."""


class Retraining(EpochChoice, Schedule):
    """How a model that was changed learns again, and how much accuracy that may cost."""

    budget: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="Largest loss of accuracy on the validation images, as a fraction: the "
        "smallest model that loses no more is kept. With `choose_by: fidelity`, of fidelity to the "
        "uncut model, which has 1.",
    )
    alpha: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Weight of the labels in retraining; the answers of the uncut model have the "
        "rest.",
    )
    temperature: float = Field(
        default=4.0, gt=0, description="Softens the answers of both: 1 leaves them as they are."
    )
    epochs: int = Field(
        default=3, ge=1, description="Passes over the training images in each round, at most."
    )
    learning_rate: float = Field(
        default=1e-3,
        gt=0,
        le=1,
        description="Highest rate of AdamW in each round, which falls to 0 by a cosine.",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="Epochs without a better one on the validation images after which a round "
        "stops; with null it never stops early.",
    )
    augmentation: Augmentation = Field(
        default=Augmentation(views=3), description="How far the views of an image may be from it."
    )


class Cycle(Retraining):
    """How much is cut, in how many rounds, and how the model is retrained after each."""

    sparsity: float = Field(gt=0, lt=1, description="Part to be cut after all rounds.")
    rounds: int = Field(
        default=4, ge=1, description="Rounds of cutting and retraining in which that is reached."
    )


class FilterPruning(Cycle):
    """How much is cut, by what measure, and how the thinner model is retrained."""

    former_names: ClassVar[Mapping[str, str]] = {"least": "min_fraction_kept"}

    sparsity: float = Field(
        default=0.6, gt=0, lt=1, description="Part of all parameters to be cut after all rounds."
    )
    saliency: Saliency = Field(
        default="taylor",
        description="What tells which filters to cut. taylor: how much the loss on training images "
        "would change, per parameter; magnitude: the norm of their weights, beside the others of "
        "their layer.",
    )
    min_fraction_kept: float = Field(
        default=0.1, gt=0, le=1, description="Fraction of a layer's filters that is kept, at least."
    )


class WeightPruning(Cycle):
    """How many weights become 0, and how the others are retrained."""

    sparsity: float = Field(
        default=0.8,
        gt=0,
        lt=1,
        description="Part of all entries of kernels that is 0 after all rounds.",
    )


class MagnitudePruning(WeightPruning):
    """How many weights become 0, among which they are compared, and how the others retrain."""

    scope: Scope = Field(
        default="layer",
        description="Among which weights the smallest are cut. layer: those of one kernel, so that "
        "each loses the same part; global: those of all kernels.",
    )
    pattern: Pattern | None = Field(
        default=None,
        description="2:4 cuts the two smallest of every four weights in a row that one output "
        "reads, in one round; with null the zeros are anywhere.",
    )

    @model_validator(mode="before")
    @classmethod
    def _follow_the_pattern(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        named = cast("dict[str, Any]", given)
        return named if named.get("pattern") is None else _OF_THE_PATTERN | named

    @model_validator(mode="after")
    def _agrees_with_the_pattern(self) -> Self:
        for name, value in _OF_THE_PATTERN.items():
            if self.pattern is not None and getattr(self, name) != value:
                raise ValueError(
                    f"`{name}` is {getattr(self, name)!r}, but the pattern {self.pattern} means "
                    f"{value!r}: leave `{name}` out, or leave `pattern` out"
                )
        return self


class Clustering(Retraining):
    """How many values a kernel may have, and how these are retrained."""

    clusters: int = Field(
        default=16,
        ge=2,
        le=256,
        description="Different values in each kernel, at most; depthwise kernels keep all theirs.",
    )
