"""Settings of whatever is trained."""

from __future__ import annotations

from pydantic import Field

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
        description="Epochs without a lower validation loss after which training stops; "
        "with null it never stops early.",
    )
    augmentation: Augmentation = Field(
        default=Augmentation(), description="How far the views of an image may be from it."
    )
