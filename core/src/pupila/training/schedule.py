"""Settings of whatever is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pupila.errors import PupilaError
from pupila.plugin import Config
from pupila.views import Augmentation

LARGEST_GRADIENT = 1.0
"""Norm to which every trainer clips the gradient of each variable by itself, in each step.

Early steps of a normalised net are rough. It is what `clipnorm` means in Keras, and not the norm of
all gradients together (`global_clipnorm`; Pascanu et al. 2013, algorithm 1).
"""


class Schedule(Config):
    """How long something is trained, on which pictures."""

    epochs: int = Field(default=40, ge=1, description="Passes over the training images, at most.")
    batch_size: int = Field(default=32, ge=1, description="Images of one training step.")
    learning_rate: float = Field(
        default=6e-3, gt=0, le=1, description="Highest rate of AdamW, which falls to 0 by a cosine."
    )
    patience: int | None = Field(
        default=15,
        ge=1,
        description="Epochs without a better one on the validation images after which training "
        "stops; with null it never stops early.",
    )
    average: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Judge and keep the running mean of the weights over the steps, in which each "
        "step counts this part of the one after it: 0.99 is about the last 100 steps. With null "
        "the weights are taken as they are.",
    )
    augmentation: Augmentation = Field(
        default=Augmentation(), description="How far the views of an image may be from it."
    )


class Chosen(Config):
    """By what the epoch is chosen that is kept, where something is learned from a teacher."""

    choose_by: Literal["loss", "fidelity"] = Field(
        default="loss",
        description="Which epoch is kept. loss: that of the lowest loss on the validation images; "
        "fidelity: that which answers altered validation images most as the teacher does (the "
        "shift suite's value there).",
    )

    def check_inputs(self, count: int) -> None:
        super().check_inputs(count)
        if self.choose_by == "fidelity":
            refuse_several("`choose_by` is 'fidelity'", count)


def refuse_several(setting: str, teachers: int) -> None:
    """Refuse to choose by fidelity where there are several teachers, as `setting` says.

    Raises:
        PupilaError: there are.
    """
    if teachers > 1:
        raise PupilaError(
            f"{setting}, which is to one teacher, but `from` has {teachers}: give one, or choose "
            f"by `loss`."
        )
