"""Settings of the techniques: how much is cut, and how the remaining model is retrained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import Field, model_validator

from pupila.training.schedule import EpochChoice, Schedule, SoftTargets
from pupila.views import Augmentation

Saliency = Literal["taylor", "magnitude"]
Scope = Literal["layer", "global"]
Pattern = Literal["2:4"]

_PATTERN_SETTINGS: dict[str, Any] = {"sparsity": 0.5, "rounds": 1, "scope": "layer"}
"""Settings that follow from the pattern 2:4: half of each kernel is cut, in one round."""


class Retraining(SoftTargets, EpochChoice, Schedule):
    """Settings of retraining a cut or clustered model, and how much accuracy it may lose."""

    budget: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="Largest loss of accuracy on the validation images, as a fraction: the "
        "smallest model that loses no more is kept. With `choose_by: fidelity`, of fidelity to the "
        "uncut model, which has 1.",
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
        description="Epochs without improvement on the validation images after which a round "
        "stops; with null it never stops early.",
    )
    augmentation: Augmentation = Field(
        default=Augmentation(views=3),
        description="How far the views of an image may differ from it.",
    )


class Cycle(Retraining):
    """Settings of pruning in rounds: how much is cut, and how each round retrains."""

    sparsity: float = Field(gt=0, lt=1, description="Fraction to cut by the last round.")
    rounds: int = Field(
        default=4, ge=1, description="Rounds of cutting and retraining to reach that."
    )


class FilterPruning(Cycle):
    """Settings of `prune-filters`: how much is cut, by which score, and the retraining."""

    former_names: ClassVar[Mapping[str, str]] = {"least": "min_fraction_kept"}

    sparsity: float = Field(
        default=0.6, gt=0, lt=1, description="Fraction of all parameters to cut by the last round."
    )
    saliency: Saliency = Field(
        default="taylor",
        description="How filters are ranked. taylor: by the change of the loss on training images, "
        "per parameter; magnitude: by the norm of their weights, relative to the others of their "
        "layer.",
    )
    min_fraction_kept: float = Field(
        default=0.1, gt=0, le=1, description="Smallest fraction of a layer's filters to keep."
    )


class WeightPruning(Cycle):
    """Settings of `prune-obd` and `prune-synflow`: how many weights are cut, and retraining."""

    sparsity: float = Field(
        default=0.8,
        gt=0,
        lt=1,
        description="Fraction of all kernel weights that is 0 after the last round.",
    )


class MagnitudePruning(WeightPruning):
    """Settings of `prune-magnitude`: how many weights are cut, by which rule, and retraining."""

    scope: Scope = Field(
        default="layer",
        description="Among which weights the smallest are cut. layer: those of one kernel, so that "
        "each loses the same fraction; global: those of all kernels.",
    )
    pattern: Pattern | None = Field(
        default=None,
        description="2:4 cuts, in one round, the two smallest of every four successive weights of "
        "an output; with null the zeros can be anywhere.",
    )

    @model_validator(mode="before")
    @classmethod
    def _follow_the_pattern(cls, settings: Any) -> Any:
        if not isinstance(settings, dict):
            return settings
        named = cast("dict[str, Any]", settings)
        return named if named.get("pattern") is None else _PATTERN_SETTINGS | named

    @model_validator(mode="after")
    def _agrees_with_the_pattern(self) -> Self:
        for name, value in _PATTERN_SETTINGS.items():
            if self.pattern is not None and getattr(self, name) != value:
                raise ValueError(
                    f"`{name}` is {getattr(self, name)!r}, but the pattern {self.pattern} means "
                    f"{value!r}: leave `{name}` out, or leave `pattern` out"
                )
        return self


class Clustering(Retraining):
    """Settings of `cluster`: how many different values a kernel may have, and the retraining."""

    clusters: int = Field(
        default=16,
        ge=2,
        le=256,
        description="Most different values in each kernel; depthwise kernels keep all theirs.",
    )
