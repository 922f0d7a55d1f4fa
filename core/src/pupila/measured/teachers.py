"""How good the teachers of a student are, and how often they agree."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pupila.measured.base import Fraction, Interval, MeasuredFields


class TeacherQuality(MeasuredFields):
    """How good one teacher is on the validation images."""

    digest: str = Field(default="", description="First 12 digits of the artifact's digest.")
    validation_accuracy: Interval = Field(description="Accuracy, with its 95 % interval.")
    validation_auc: Interval | None = Field(
        default=None,
        description="Area under the ROC curve of the first class; None if a class has no image.",
    )


class TeacherQualities(MeasuredFields):
    """How good each teacher of a step is."""

    teachers: tuple[TeacherQuality, ...] = Field(
        description="Quality of each teacher, in the order of the step's inputs."
    )


class TeacherAgreement(MeasuredFields):
    """How often each pair of teachers gives a training image the same class."""

    agreement: tuple[tuple[Fraction, ...], ...] = Field(
        description="`(teachers, teachers)`: fraction of the images given the same class by both."
    )
    teachers_disagree: Fraction | None = Field(
        default=None, description="Fraction of images to which the teachers give several classes."
    )

    @model_validator(mode="after")
    def _is_square(self) -> Self:
        if any(len(row) != len(self.agreement) for row in self.agreement):
            raise ValueError("`agreement` has a row and a column for each teacher")
        return self


class TaughtFractions(MeasuredFields):
    """Fractions of labelled images on which all, some or no teachers were right; the sum is 1."""

    all: Fraction = Field(description="Every teacher was right, and taught.")
    some: Fraction = Field(description="Some teachers were right, and those taught.")
    none: Fraction = Field(description="No teacher was right: only the label taught.")


class OracleTeaching(MeasuredFields):
    """How often teachers were right, in a training where only the teachers that are right teach.

    Kang, Mun and Han 2020, "Towards oracle knowledge distillation with neural architecture search".
    """

    taught_by: TaughtFractions
