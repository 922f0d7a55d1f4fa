"""Settings of `train` and of the techniques that learn from a teacher's answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, field_validator

from pupila import InputContract, PupilaError, Student, installed
from pupila.errors import few
from pupila.plugin import Plugin
from pupila.training.schedule import Schedule
from pupila.views import Augmentation


class Training(Schedule):
    """Which student is trained, and how long."""

    student: str = Field(default="mobile-xs", description="Name of the small architecture.")
    size: int | None = Field(
        default=None,
        ge=32,
        description="Rows and columns of the student's input in pixels; its own where left out.",
    )
    unlabelled: bool = Field(
        default=True,
        description="Make epochs as long as if the unlabelled images of the data were learned "
        "from too: labelled ones are shown again in their place.",
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


class Teaching(Training):
    """How a teacher's answers and the labels are weighed, and what is learned from."""

    alpha: float = Field(
        default=0.1, ge=0, le=1, description="Weight of the labels; the teacher has the rest."
    )
    temperature: float = Field(
        default=4.0, gt=0, description="Softens the answers of both: 1 leaves them as they are."
    )
    unlabelled: bool = Field(
        default=True,
        description="Learn from the unlabelled images too, where the data has any: "
        "of these, from the teacher alone.",
    )


class Distillation(Teaching):
    """Settings of `distill`."""

    weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        default=None,
        description="Weight of each teacher in `from`, in order; equal where left out.",
    )

    def check_inputs(self, count: int) -> None:
        if self.weights is not None and len(self.weights) != count:
            raise PupilaError(
                f"`weights` has {len(self.weights)} numbers, {few(self.weights)}, where `from` "
                f"has {count}: give one for each teacher, in the same order, or leave `weights` "
                f"out."
            )


class OracleDistillation(Teaching):
    """Settings of `distill-oracle`: labels have no weight where a teacher is right."""

    alpha: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Weight of the labels where a teacher is right; where none is, they have all.",
    )


class ConsistentDistillation(Distillation):
    """Settings of `distill-consistent`: no labels, hard views, and a long schedule.

    Beyer et al. 2022, "Knowledge distillation: a good teacher is patient and consistent" (CVPR;
    arXiv 2106.05237), with the values of their ImageNet configuration, `distill/bit_i1k.py` in
    their repository `big_vision`: temperature 1, the labels unused, random crops of at least 5 %
    of the area, left and right mirrored, every picture mixed with another at a uniform ratio, none
    left as it is, a cosine to 0. Of their schedules 300 epochs is the shortest; the configuration
    has 1200. The rate of learning, and how place and colour move, are as in the other techniques.
    """

    alpha: float = Field(
        default=0, ge=0, le=1, description="Weight of the labels; the teacher has the rest."
    )
    temperature: float = Field(
        default=1.0, gt=0, description="Softens the answers of both: 1 leaves them as they are."
    )
    epochs: int = Field(default=300, ge=1, description="Passes over the images, at most.")
    patience: int | None = Field(
        default=None,
        ge=1,
        description="Epochs without a lower validation loss after which training stops; "
        "with null it never stops early.",
    )
    augmentation: Augmentation = Field(
        default=Augmentation(views=16, original=False, crop=0.05, mixup=1),
        description="How far the views of an image may be from it.",
    )


class AttentionDistillation(Teaching):
    """Settings of `distill-attention`."""

    beta: float = Field(
        default=100,
        ge=0,
        description="Weight of the attention maps; 0 leaves the teacher's answers alone.",
    )


class EvolutionaryDistillation(Training):
    """Settings of `distill-evolutionary`: a teacher that starts from nothing, as its student."""

    teacher: str = Field(
        default="residual-m", description="Name of the architecture of the evolving teacher."
    )
    epochs: int = Field(default=30, ge=1, description="Passes over the training images, at most.")
    alpha: float = Field(
        default=0.5, ge=0, le=1, description="Weight of the labels; the teacher has the rest."
    )
    temperature: float = Field(
        default=4.0, gt=0, description="Softens the answers of both: 1 leaves them as they are."
    )
    guidance: float = Field(
        default=1.0, ge=0, description="Weight of the guided modules between the blocks."
    )

    @field_validator("teacher")
    @classmethod
    def _teacher_is_installed(cls, name: str) -> str:
        return cls._is_installed(name)

    @property
    def evolving(self) -> Student:
        """The teacher's descriptor."""
        return installed().student(self.teacher)

    def uses(self) -> Sequence[Plugin]:
        return (self.architecture, self.evolving)
