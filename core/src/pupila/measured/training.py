"""Summary of a model's training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from pupila.measured.base import Clock, Count, MeasuredFields, Seconds

History = dict[str, list[float]]
"""One value per epoch, by name: `loss`, `accuracy`, `validation_loss`, `validation_accuracy`, and
`validation_fidelity` if the epoch is chosen by fidelity."""

_DIGITS = 4


class TrainingSummary(MeasuredFields):
    """The history of one training, and the epoch whose weights were kept."""

    best_epoch: int = Field(
        ge=1,
        description="Epoch whose weights are kept, from 1: the one with the lowest validation "
        "loss, or the highest fidelity if `choose_by` says so.",
    )
    epochs: Count = Field(description="Epochs trained; patience may stop training early.")
    history: History = Field(description="By name, one number for each epoch.")
    validation_accuracy: float | None = Field(
        default=None,
        description="After the best epoch, on the validation images, which chose the epoch; 0..1.",
    )
    validation_fidelity: float | None = Field(
        default=None,
        description="After the best epoch, fidelity to the teacher on altered validation images, "
        "if the epoch is chosen by fidelity.",
    )
    unlabelled_images: Count | None = Field(
        default=None, description="Number of unlabelled images used in training."
    )
    seconds: Seconds | None = Field(
        default=None, description="Wall time of training and validation, over all attempts."
    )
    images_per_second: Annotated[float, Clock()] | None = Field(
        default=None, description="Training images shown per second, validation included."
    )


def history_of(epochs: Sequence[Mapping[str, float]], *names: str) -> History:
    """Return the history of a training: for each metric, a list with one value per epoch.

    `epochs` has the metrics of each epoch under Keras' names, such as `val_loss`; the result has
    `validation_loss` instead. Values are rounded to four decimals. `names` are the Keras names of
    the metrics to return, by default all of them, sorted.
    """
    return {
        name.replace("val_", "validation_"): [round(epoch[name], _DIGITS) for epoch in epochs]
        for name in names or sorted(epochs[0])
    }


def best_epoch_of(history: History) -> int:
    """Return the epoch whose weights a training keeps, from 1: the first with the best figure.

    The figure is the validation loss, or the fidelity if the history has it. Its four decimals may
    hide which of two epochs was better; a `TrainingSummary` says it.
    """
    fidelity = history.get("validation_fidelity")
    if fidelity:
        return fidelity.index(max(fidelity)) + 1
    return history["validation_loss"].index(min(history["validation_loss"])) + 1
