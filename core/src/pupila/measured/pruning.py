"""What pruning and clustering left, and what that cost."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pupila.measured.base import Count, Fraction, MeasuredFields
from pupila.measured.training import History


class PruningRound(MeasuredFields):
    """A model after one round of cutting and retraining; round 0 is the uncut one."""

    parameters: Count = Field(description="Weights that are left; those set to 0 do not count.")
    parameters_removed: float | None = Field(
        default=None, description="Fraction of the parameters of the uncut model, 0..1."
    )
    validation_accuracy: float = Field(
        description="After retraining, on the validation images; 0..1."
    )
    macs: Count | None = Field(
        default=None, description="Multiply-accumulates for one image, zeros included."
    )
    validation_fidelity: float | None = Field(
        default=None,
        description="To the uncut model, on altered validation images, where that chose.",
    )


class PruningCurve(MeasuredFields):
    """Size against accuracy over the rounds, and the round that is kept."""

    curve: tuple[PruningRound, ...] = Field(
        min_length=1, description="Every round that was finished, from the uncut model on."
    )
    round: Count = Field(description="The round that is kept, a position in `curve`.")
    parameters_removed: float | None = Field(
        default=None, description="Fraction of the parameters that the kept round is without, 0..1."
    )
    validation_accuracy: float | None = Field(
        default=None,
        description="Of the kept round, on the images that chose it: a little too high; 0..1.",
    )
    validation_fidelity: float | None = Field(
        default=None,
        description="To the uncut model, on altered validation images, where that chose.",
    )
    budget_met: bool | None = Field(
        default=None,
        description="Whether it lost no more accuracy than the step's `budget`; where fidelity "
        "chose, no more of that.",
    )
    reason: str = Field(default="", description="Why this round is kept, in one sentence.")
    history: tuple[History, ...] = Field(
        default=(), description="Of the retraining of each round, from round 1 on."
    )

    @model_validator(mode="after")
    def _keeps_one_of_its_rounds(self) -> Self:
        if self.round >= len(self.curve):
            raise ValueError(f"round {self.round} is kept, but `curve` has {len(self.curve)}")
        return self


class ClusteringResult(MeasuredFields):
    """What sharing values among the weights of a kernel cost, after retraining."""

    round: Count = Field(description="Always 1: weights are clustered once.")
    validation_accuracy: float = Field(description="Of the clustered model; 0..1.")
    budget_met: bool = Field(description="Whether it lost no more than `budget`.")
    reason: str = Field(description="What it lost beside the budget, in one sentence.")
    history: tuple[History, ...] = Field(description="Of the retraining.")
    uncut_validation_accuracy: float = Field(description="Before clustering; 0..1.")
    values_by_kernel: dict[str, Count] = Field(
        description="Different values in each clustered kernel, by the kernel's name."
    )


class WeightSparsity(MeasuredFields):
    """How many weights are 0."""

    sparsity: Fraction = Field(description="Fraction of the weights of all kernels that are 0.")
    sparsity_by_kernel: dict[str, Fraction] = Field(
        default_factory=dict[str, Fraction], description="The same of each kernel, by its name."
    )
    kept_dense: tuple[str, ...] = Field(
        default=(), description="Kernels that cannot follow the pattern asked for."
    )


class StoredBytes(MeasuredFields):
    """The size of one model file."""

    plain: Count = Field(description="Bytes on disk.")
    gzip: Count = Field(description="Bytes after gzip at level 6.")


class FileSizePair(MeasuredFields):
    """The model file before and after."""

    uncut: StoredBytes
    cut: StoredBytes


class FileSizes(MeasuredFields):
    """What zeros or repeated values do to the size of the model file."""

    file_bytes: FileSizePair
    size_note: str = Field(description="What follows from it, in words.")
