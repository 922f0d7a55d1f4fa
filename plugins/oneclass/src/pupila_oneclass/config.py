"""Settings of `one-class`: the class, the features, and how the classifier is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from pupila import Config, InputSpec, PupilaError, Student, installed
from pupila.errors import check_class, list_names
from pupila.plugin import CLASSIFICATION, Plugin, Task
from pupila.training.schedule import Schedule

CLASSES = 2
"""Number of classes: the class to learn, and anything else."""
ANY_IMAGE = ("known", "other")
"""Classes of a filter that learned all images of the data, whatever their labels."""


class LearnedClass(Config):
    """Settings of every technique that learns one class from its images alone."""

    positive: str | None = Field(
        description="Class to learn; no other images are used for training. With null, all images "
        "of the data are learned, whatever their labels, as the class `known`."
    )
    target_sensitivity: float = Field(
        default=0.99,
        gt=0.5,
        lt=1,
        description="Lowest fraction of the class's validation images to accept; also the "
        "probability given to their median.",
    )

    def for_task(self, task: Task) -> Self:
        if self.positive is not None and task.name != CLASSIFICATION:
            raise PupilaError(
                f"`positive` is {self.positive!r}, a class, and data for {task.name} has none: "
                f"learn all images with `positive: null`."
            )
        return super().for_task(task)

    @property
    def own_classes(self) -> tuple[str, ...] | None:
        return ANY_IMAGE if self.positive is None else None

    @property
    def learned(self) -> str:
        """Name of the class that is learned."""
        return ANY_IMAGE[0] if self.positive is None else self.positive

    def check_classes(self, classes: Sequence[str]) -> None:
        if self.positive is None:
            return
        check_class("positive", self.positive, classes)
        if len(classes) != CLASSES:
            raise PupilaError(
                f"The data has {len(classes)} classes, {list_names(classes)}, where two were "
                f"expected, one of them {self.positive!r}: label everything else alike."
            )


class OneClassDistance(LearnedClass):
    """Settings of the technique `one-class-distance`."""


class OneClass(LearnedClass, Schedule):
    """Settings of the technique `one-class`."""

    former_names: ClassVar[Mapping[str, str]] = {"accept": "target_sensitivity"}

    layer: str | None = Field(
        default=None,
        description="Layer of the teacher whose output are the features; by default its last "
        "feature map.",
    )
    fine_tune: bool = Field(
        default=False,
        description="Train the last stage of the teacher too, not only the classifier.",
    )
    student: str | None = Field(
        default=None,
        description="Name of a small architecture to train from random weights, instead of a "
        "teacher.",
    )
    size: int | None = Field(
        default=None,
        ge=32,
        description="Rows and columns of the student's input in pixels; by default the student's "
        "own.",
    )
    sigma: float = Field(
        default=0.01,
        gt=0,
        description="Standard deviation of the pseudo-negatives; that of the features is 1.",
    )
    hidden: int = Field(default=256, ge=1, description="Units of the classifier's hidden layer.")
    epochs: int = Field(
        default=30, ge=1, description="Passes over the training images of the class, at most."
    )
    batch_size: int = Field(
        default=64,
        ge=1,
        description="Images of one training step; as many pseudo-negatives are added.",
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
            raise ValueError(f"`size` is {self.size!r}, but it is for a `student`: name one")
        if self.student is not None and (self.layer is not None or self.fine_tune):
            name = "fine_tune" if self.layer is None else "layer"
            raise ValueError(
                f"`{name}` is {getattr(self, name)!r}, but it is for a teacher, and the student "
                f"{self.student!r} is trained as a whole: leave one of the two out"
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

    def uses(self) -> Sequence[Plugin]:
        return () if self.student is None else (self.architecture,)

    @property
    def architecture(self) -> Student:
        """Descriptor of the student; only valid if the settings name a student."""
        return installed().student(str(self.student))

    @property
    def student_input(self) -> InputSpec:
        """The student's input specification."""
        side = self.size or self.architecture.size
        return InputSpec(height=side, width=side)
