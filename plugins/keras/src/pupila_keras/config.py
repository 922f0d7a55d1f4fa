"""Settings of `untrained`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pupila import Config

Backbone = Literal[
    "VGG16",
    "VGG19",
    "ResNet50",
    "InceptionV3",
    "Xception",
    "MobileNetV2",
    "EfficientNetB0",
]


class UntrainedModel(Config):
    """Settings of `untrained`: an architecture of Keras and its classification head."""

    backbone: Backbone = Field(description="Name in `keras.applications`.")
    size: int = Field(default=224, ge=75, description="Rows and columns of the input, in pixels.")
    pooling: Literal["average", "flatten"] = Field(
        default="average",
        description="Input of the head: the mean over all positions, or every position.",
    )
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), description="Units of the dense layers between backbone and output layer."
    )
