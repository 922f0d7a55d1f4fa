"""How a training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from pupila.measured.base import Clock, Count, MeasuredFields, Seconds

History = dict[str, list[float]]
"""Figures by name, one for each epoch: `loss`, `accuracy`, and both with `validation_` before;
`validation_fidelity` where that chose the epoch."""

_DIGITS = 4


class TrainingSummary(MeasuredFields):
    """The epochs of one training, and which of them was kept."""

    best_epoch: int = Field(
        ge=1,
        description="Epoch whose weights are kept, from 1: that of the lowest validation loss, or "
        "of the highest fidelity where `choose_by` says so.",
    )
    epochs: Count = Field(description="Epochs that were trained; patience may end it early.")
    history: History = Field(description="By name, one number for each epoch.")
    validation_accuracy: float | None = Field(
        default=None,
        description="After the best epoch, on the validation images, which chose it; 0..1.",
    )
    validation_fidelity: float | None = Field(
        default=None,
        description="After the best epoch, to the teacher on altered validation images, where that "
        "chose it.",
    )
    unlabelled_images: Count | None = Field(
        default=None, description="Images without a label that were learned from."
    )
    seconds: Seconds | None = Field(
        default=None, description="Wall time of training and validation, over all tries."
    )
    images_per_second: Annotated[float, Clock()] | None = Field(
        default=None, description="Training images shown per second, validation included."
    )


def history_of(epochs: Sequence[Mapping[str, float]], *names: str) -> History:
    """Return figures by name from figures by epoch, as Keras names them (`val_loss`).

    Rounded to four digits; all names in alphabetical order, unless some are asked for.
    """
    return {
        name.replace("val_", "validation_"): [round(epoch[name], _DIGITS) for epoch in epochs]
        for name in names or sorted(epochs[0])
    }
