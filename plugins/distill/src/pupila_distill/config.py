"""Settings of `train` and `distill`."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, field_validator

from pupila import Config, InputContract, PupilaError, Student, installed
from pupila.plugin import Plugin
from pupila.views import Augmentation


class Training(Config):
    """Which student is trained, and how long."""

    student: str = Field(default="mobile-xs", description="Name of the small architecture.")
    size: int | None = Field(
        default=None,
        ge=32,
        description="Rows and columns of the student's input in pixels; its own where left out.",
    )
    epochs: int = Field(default=40, ge=1, description="Passes over the training images, at most.")
    batch_size: int = Field(default=32, ge=1, description="Images of one training step.")
    learning_rate: float = Field(
        default=6e-3, gt=0, le=1, description="Highest rate of AdamW, which falls to 0 by a cosine."
    )
    patience: int = Field(
        default=15,
        ge=1,
        description="Epochs without a lower validation loss after which training stops.",
    )
    augmentation: Augmentation = Field(
        default=Augmentation(), description="How far the views of an image may be from it."
    )

    @field_validator("student")
    @classmethod
    def _is_installed(cls, name: str) -> str:
        try:
            installed().student(name)
        except PupilaError as error:
            raise ValueError(str(error)) from None
        return name

    @property
    def architecture(self) -> Student:
        """The student's descriptor."""
        return installed().student(self.student)

    def uses(self) -> Sequence[Plugin]:
        return (self.architecture,)

    @property
    def input(self) -> InputContract:
        """What the student will be given."""
        side = self.size or self.architecture.size
        return InputContract(height=side, width=side)


class Distillation(Training):
    """How the teacher's answers and the labels are weighed."""

    alpha: float = Field(
        default=0.1, ge=0, le=1, description="Weight of the labels; the teacher has the rest."
    )
    temperature: float = Field(
        default=4.0, gt=0, description="Softens the answers of both: 1 leaves them as they are."
    )
