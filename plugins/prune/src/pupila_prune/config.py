"""Settings of `prune-filters`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pupila.training.schedule import Schedule
from pupila.views import Augmentation

Saliency = Literal["taylor", "magnitude"]


class FilterPruning(Schedule):
    """How much is cut, by what measure, and how the thinner model is retrained."""

    sparsity: float = Field(
        default=0.6, gt=0, lt=1, description="Part of all parameters to be cut after all rounds."
    )
    rounds: int = Field(
        default=4, ge=1, description="Rounds of cutting and retraining in which that is reached."
    )
    budget: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="Largest loss of accuracy on the validation images, as a fraction: the "
        "smallest model that loses no more is kept.",
    )
    saliency: Saliency = Field(
        default="taylor",
        description="What tells which filters to cut. taylor: how much the loss on training images "
        "would change, per parameter; magnitude: the norm of their weights, beside the others of "
        "their layer.",
    )
    least: float = Field(
        default=0.1, gt=0, le=1, description="Smallest part of a layer's filters that is kept."
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
        description="Epochs without a lower validation loss after which a round stops; "
        "with null it never stops early.",
    )
    augmentation: Augmentation = Field(
        default=Augmentation(views=3), description="How far the views of an image may be from it."
    )
