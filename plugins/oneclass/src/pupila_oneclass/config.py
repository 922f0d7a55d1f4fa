"""Settings of `one-class`: which class, which features, and how its classifier is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from pupila import InputSpec, PupilaError, Student, installed
from pupila.errors import check_class, list_names
from pupila.plugin import Plugin
from pupila.training.schedule import Schedule

CLASSES = 2
"""The class that is learned, and anything else."""


class OneClass(Schedule):
    """Which class is learned, on which features, and how many of its images are to be accepted."""

    former_names: ClassVar[Mapping[str, str]] = {"accept": "target_sensitivity"}

    positive: str = Field(description="Class whose images, and no others, are learned from.")
    layer: str | None = Field(
        default=None,
        description="Layer of the teacher whose output are the features; its last feature map "
        "where left out.",
    )
    fine_tune: bool = Field(
        default=False,
        description="Train the last stage of the teacher too, and not the classifier alone.",
    )
    student: str | None = Field(
        default=None,
        description="Name of a small architecture that is trained from random weights, where there "
        "is not a teacher.",
    )
    size: int | None = Field(
        default=None,
        ge=32,
        description="Rows and columns of the student's input in pixels; its own where left out.",
    )
    sigma: float = Field(
        default=0.01,
        gt=0,
        description="Standard deviation of the pseudo-negatives; features have 1.",
    )
    hidden: int = Field(default=256, ge=1, description="Units of the classifier's hidden layer.")
    target_sensitivity: float = Field(
        default=0.99,
        gt=0.5,
        lt=1,
        description="Fraction of the validation images of the class that is accepted, at least, "
        "and the probability that the middle one of them gets.",
    )
    epochs: int = Field(
        default=30, ge=1, description="Passes over the training images of the class, at most."
    )
    batch_size: int = Field(
        default=64, ge=1, description="Images of one training step; as many pseudo-negatives join."
    )
    learning_rate: float = Field(
        default=1e-3, gt=0, le=1, description="Highest rate of AdamW, which falls to 0 by a cosine."
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="Epochs without a lower validation loss after which training stops; "
        "with null it never stops early.",
    )

    @field_validator("student")
    @classmethod
    def _is_installed(cls, name: str | None) -> str | None:
        try:
            return name and installed().student(name).name
        except PupilaError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.student is None and self.size is not None:
            raise ValueError(f"`size` is {self.size!r}, but it is of a `student`: name one")
        if self.student is not None and (self.layer is not None or self.fine_tune):
            name = "fine_tune" if self.layer is None else "layer"
            raise ValueError(
                f"`{name}` is {getattr(self, name)!r}, but it is of a teacher, and the student "
                f"{self.student!r} is wholly trained: leave one of the two out"
            )
        return self

    def check_inputs(self, count: int) -> None:
        if count and self.student is not None:
            raise PupilaError(
                f"`student` is {self.student!r} and `from` names a teacher: features come from one "
                f"of the two, so leave the other out."
            )
        if not count and self.student is None:
            raise PupilaError(
                "There is nothing to take features from: name a teacher in `from`, or a `student` "
                "that is trained from random weights."
            )

    def check_classes(self, classes: Sequence[str]) -> None:
        check_class("positive", self.positive, classes)
        if len(classes) != CLASSES:
            raise PupilaError(
                f"The data has {len(classes)} classes, {list_names(classes)}, where one class is "
                f"told from anything else: label all but {self.positive!r} alike, so that there "
                f"are two."
            )

    def uses(self) -> Sequence[Plugin]:
        return () if self.student is None else (self.architecture,)

    @property
    def architecture(self) -> Student:
        """The student's descriptor, where there is one."""
        return installed().student(str(self.student))

    @property
    def student_input(self) -> InputSpec:
        """What the student will be given."""
        side = self.size or self.architecture.size
        return InputSpec(height=side, width=side)
