"""Results of pruning and clustering weights: sizes and accuracies."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pupila.measured.base import Count, Fraction, MeasuredFields
from pupila.measured.training import History


class PruningRound(MeasuredFields):
    """Size and accuracy after a round of pruning and retraining; round 0 is the uncut model."""

    parameters: Count = Field(description="Weights left; those set to 0 do not count.")
    parameters_removed: float | None = Field(
        default=None, description="Fraction of the uncut model's parameters removed, 0..1."
    )
    validation_accuracy: float = Field(
        description="After retraining, on the validation images; 0..1."
    )
    macs: Count | None = Field(
        default=None, description="Multiply-accumulates for one image, zeros included."
    )
    validation_fidelity: float | None = Field(
        default=None,
        description="Fidelity to the uncut model on altered validation images, if fidelity chooses "
        "the round.",
    )


class PruningCurve(MeasuredFields):
    """Size and accuracy after each round of pruning, and which round is kept."""

    curve: tuple[PruningRound, ...] = Field(
        min_length=1, description="Every round that was finished, from the uncut model on."
    )
    round: Count = Field(description="The round that is kept, a position in `curve`.")
    parameters_removed: float | None = Field(
        default=None, description="Fraction of the parameters removed in the kept round, 0..1."
    )
    validation_accuracy: float | None = Field(
        default=None,
        description="Validation accuracy of the kept round, 0..1. Slightly too high, because the "
        "same images chose the round.",
    )
    validation_fidelity: float | None = Field(
        default=None,
        description="Fidelity of the kept round to the uncut model on altered validation images, "
        "if fidelity chooses the round.",
    )
    budget_met: bool | None = Field(
        default=None,
        description="Whether the loss of accuracy is within the step's `budget`; the loss of "
        "fidelity, if fidelity chooses the round.",
    )
    reason: str = Field(default="", description="Why this round is kept, in one sentence.")
    history: tuple[History, ...] = Field(
        default=(), description="History of the retraining of each round, from round 1 on."
    )

    @model_validator(mode="after")
    def _keeps_one_of_its_rounds(self) -> Self:
        if self.round >= len(self.curve):
            raise ValueError(f"round {self.round} is kept, but `curve` has {len(self.curve)}")
        return self


class ClusteringResult(MeasuredFields):
    """Results of clustering weights.

    The weights of each kernel share a few values; these values are then retrained.
    """

    round: Count = Field(description="Always 1: weights are clustered once.")
    validation_accuracy: float = Field(description="Accuracy of the clustered model, 0..1.")
    budget_met: bool = Field(description="Whether the loss of accuracy is within `budget`.")
    reason: str = Field(description="The loss compared with the budget, in one sentence.")
    history: tuple[History, ...] = Field(description="History of the retraining.")
    uncut_validation_accuracy: float = Field(description="Accuracy before clustering, 0..1.")
    values_by_kernel: dict[str, Count] = Field(
        description="Different values in each clustered kernel, by the kernel's name."
    )


class WeightSparsity(MeasuredFields):
    """Fraction of weights that are 0, in all kernels together and in each kernel."""

    sparsity: Fraction = Field(description="Fraction of the weights of all kernels that are 0.")
    sparsity_by_kernel: dict[str, Fraction] = Field(
        default_factory=dict[str, Fraction],
        description="Fraction of the weights that are 0 in each kernel, by the kernel's name.",
    )
    kept_dense: tuple[str, ...] = Field(
        default=(), description="Kernels that cannot have the requested pattern."
    )


class StoredBytes(MeasuredFields):
    """Size of one model file, uncompressed and gzipped."""

    plain: Count = Field(description="Bytes on disk.")
    gzip: Count = Field(description="Bytes after gzip at level 6.")


class FileSizePair(MeasuredFields):
    """Sizes of the model file before and after zeroing or clustering weights."""

    uncut: StoredBytes
    cut: StoredBytes


class FileSizes(MeasuredFields):
    """How zeros or repeated values among the weights change the size of the model file."""

    file_bytes: FileSizePair
    size_note: str = Field(description="What the change of size means, in words.")
