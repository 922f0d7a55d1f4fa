"""Settings of `train` and of the techniques that learn from a teacher's predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    ByteSize,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from pupila import PupilaError, Student, installed
from pupila.errors import list_names
from pupila.plugin import Config, Plugin, Task
from pupila.training.schedule import EpochChoice, Schedule, SoftTargets
from pupila.views import Augmentation


class Beginning(Config):
    """Settings of a student made of its teacher's first layers, see `pupila.training.beginning`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", serialize_by_alias=True, validate_by_name=True
    )

    origin: Literal["teacher"] = Field(
        alias="from",
        description="The teacher in the step's `from`; of several, the one whose answers to the "
        "validation images have the lowest cross-entropy with the labels.",
    )
    until: str | None = Field(
        default=None, description="Name of the last of the teacher's layers that it has."
    )
    max_bytes: ByteSize | None = Field(
        default=None,
        gt=0,
        description="Bytes of the student as int8, at most; estimated. Where left out 500 kB, and "
        "in `fine-tune` any number.",
    )
    share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="The same as a fraction of the teacher's bytes.",
    )
    head: int = Field(
        default=320,
        ge=0,
        description="Filters of the 1x1 convolution behind the teacher's layers; 0: none.",
    )
    frozen_until: str | None = Field(
        default=None,
        description="Name of the teacher's layer up to which its layers stay as they are.",
    )
    frozen: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="The same as a fraction of the weights of those layers, at most; used where "
        "`frozen_until` is left out. 0: all are trained.",
    )
    frozen_epochs: int = Field(
        default=0,
        ge=0,
        description="First epochs, in which only the head is trained, with a rise and fall of the "
        "learning rate of their own; the layers are trained in the epochs after them.",
    )
    normalisation: Literal["kept", "learned"] = Field(
        default="kept",
        description="Whether the teacher's batch normalisation keeps its own statistics, or learns "
        "new ones from the batches.",
    )

    @model_validator(mode="after")
    def _says_one_size(self) -> Self:
        names = ("until", "max_bytes", "share")
        said = [name for name in names if getattr(self, name) is not None]
        if len(said) > 1:
            raise ValueError(f"{' and '.join(said)} each say how long it is: leave all but one out")
        return self


def _kind_of_student(student: Any) -> str:
    return "[beginning]" if isinstance(student, Mapping | Beginning) else "[name]"


_BEGINNING_RATE = 1e-3
"""Learning rate of a beginning: low, so that the teacher's weights are not lost."""

_HARD_VIEWS = Augmentation(
    views=14,
    original=False,
    brightness=0.3,
    contrast=0.3,
    saturation=0.8,
    channel_gain=0.25,
    mixup=1,
)
"""Mixed views with strong changes of colour, which kept beginnings closest to their teachers."""


_Student = Annotated[
    Annotated[str, Tag("[name]")] | Annotated[Beginning, Tag("[beginning]")],
    Discriminator(_kind_of_student),
]


_Side = Annotated[int, Field(ge=32)]


class Training(Schedule):
    """Settings of every training: which student, and for how long."""

    student: _Student = Field(
        default="mobile-xs",
        description="Name of a small architecture; or `{from: teacher, …}`: the beginning of the "
        "teacher, with its weights and a new head.",
    )
    learning_rate: float = Field(
        default=6e-3,
        gt=0,
        le=1,
        description="Highest rate of AdamW, which falls to 0 by a cosine; "
        f"{_BEGINNING_RATE} where left out and the student is the beginning of a teacher.",
    )
    size: _Side | tuple[_Side, _Side] | None = Field(
        default=None,
        description="Rows and columns of the student's input in pixels: one number for both, or "
        "`[height, width]`; where left out its own, or the teacher's of which it is the beginning.",
    )
    unlabelled: bool = Field(
        default=True,
        description="Make epochs as long as with the unlabelled images of the data: labelled ones "
        "are shown again in their place.",
    )

    of_beginning: ClassVar[Mapping[str, Any]] = {"learning_rate": _BEGINNING_RATE}
    """Defaults that replace the others if the student is the beginning of a teacher."""
    bytes_of_beginning: ClassVar[int | None] = 500_000
    """Largest size of the beginning of a teacher if the recipe does not set one; None: any size."""

    @model_validator(mode="before")
    @classmethod
    def _teaches_beginnings_otherwise(cls, given: dict[str, Any]) -> dict[str, Any]:
        student = given.get("student", cls.model_fields["student"].default)
        begins = _kind_of_student(student) == "[beginning]"
        return {**cls.of_beginning, **given} if begins else given

    @model_validator(mode="after")
    def _lets_the_layers_learn(self) -> Self:
        frozen = self.student.frozen_epochs if isinstance(self.student, Beginning) else 0
        if frozen and frozen >= self.epochs:
            raise ValueError(
                f"`frozen_epochs` is {frozen}, but there are {self.epochs} `epochs`: give more of "
                f"these, so that the layers learn in some"
            )
        return self

    @field_validator("student")
    @classmethod
    def _is_installed(cls, student: str | Beginning) -> str | Beginning:
        return _installed_student(student) if isinstance(student, str) else student

    def for_task(self, task: Task) -> Self:
        """Return these settings; the default views are not mixed if the task has no mixtures."""
        views = self.augmentation
        if views is self.of_beginning.get("augmentation") and not task.mixable:
            unmixed = views.model_copy(update={"mixup": 0})
            return self.model_copy(update={"augmentation": unmixed}).for_task(task)
        return super().for_task(task)

    def check_inputs(self, count: int) -> None:
        if not count and isinstance(self.student, Beginning):
            raise PupilaError(
                "`student` is the beginning of a teacher, but this step has no teacher: give "
                "`student` the name of an architecture."
            )
        super().check_inputs(count)

    def uses(self) -> Sequence[Plugin]:
        return () if isinstance(self.student, Beginning) else (installed().student(self.student),)


def _installed_student(name: str) -> str:
    """Return the name of an installed student as its descriptor has it."""
    try:
        return installed().student(name).name
    except PupilaError as error:
        raise ValueError(str(error)) from None


class FineTuning(Training):
    """Settings of `fine-tune`, whose models may be large: others then learn from them."""

    bytes_of_beginning: ClassVar[int | None] = None

    student: _Student = Field(
        default=Beginning.model_validate({"from": "teacher"}),
        description="`{from: teacher, …}`: the beginning of the step's model, with its weights and "
        "a new head.",
    )

    @field_validator("student")
    @classmethod
    def _is_a_beginning(cls, student: str | Beginning) -> str | Beginning:
        if isinstance(student, str):
            raise ValueError(
                f"it is {student!r}, but `fine-tune` trains the beginning of its model: write "
                f"`{{from: teacher, …}}`, or take the technique `train`"
            )
        return student


class BaseDistillation(SoftTargets, EpochChoice, Training):
    """Settings of every training with a teacher: the images, and the weights of the loss."""

    unlabelled: bool = Field(
        default=True,
        description="Learn from the unlabelled images too, where the data has any: "
        "of these, from the teacher alone.",
    )
    source_weights: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default={},
        description="Weight of the images of a source, by the manifest's column `source`; 1 where "
        "it is not named.",
    )


class Distillation(BaseDistillation):
    """Settings of `distill`."""

    student: _Student = Field(
        default=Beginning.model_validate({"from": "teacher"}),
        description="`{from: teacher, …}`: the beginning of the teacher, with its weights and a "
        "new head, for which other defaults hold: `alpha: 0`, `temperature: 2`, `epochs: 56`, "
        "`patience: null`, and 14 mixed views with strong colours; or the name of a small "
        "architecture, which starts from random weights.",
    )
    of_beginning: ClassVar[Mapping[str, Any]] = {
        **Training.of_beginning,
        "alpha": 0,
        "temperature": 2,
        "epochs": 56,
        "patience": None,
        "augmentation": _HARD_VIEWS,
    }
    mean_over_views: bool = Field(
        default=False,
        description="Learn from the mean of the teacher's answers to all views of an image, not "
        "from its answer to the view that is shown.",
    )

    weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        default=None,
        description="Weight of each teacher in `from`, in order; equal where left out.",
    )

    def for_task(self, task: Task) -> Self:
        if self.mean_over_views and not task.mixable:
            raise PupilaError(
                f"`mean_over_views` is true, but the answers to the views of an image have no mean "
                f"in the task {task.name!r}: leave it out."
            )
        return super().for_task(task)

    def check_inputs(self, count: int) -> None:
        super().check_inputs(count)
        if self.mean_over_views and self.augmentation.mixup:
            raise PupilaError(
                f"`mean_over_views` is true and `mixup` is {self.augmentation.mixup!r}, but "
                f"mixtures of an image with others have no answer in common: leave it out, or "
                f"write `augmentation` without `mixup`."
            )
        if self.weights is not None and len(self.weights) != count:
            raise PupilaError(
                f"`weights` has {len(self.weights)} numbers, {list_names(self.weights)}, where "
                f"`from` has {count}: give one for each teacher, in the same order, or leave "
                f"`weights` out."
            )


class OracleDistillation(BaseDistillation):
    """Settings of `distill-oracle`. By default, labels have no weight where a teacher is right."""

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
    their repository `big_vision`: temperature 1, no labels, random crops of at least 5 % of the
    area, horizontal flips, every image mixed with another one at a uniform random ratio, no
    unaltered images, and a learning rate that falls to 0 along a cosine. The default of 300 epochs
    is the shortest of their schedules; their configuration has 1200. The learning rate, and the
    shifts of position and colour, are as in the other techniques of this package.
    """

    of_beginning: ClassVar[Mapping[str, Any]] = Training.of_beginning

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
        description="Epochs without a better one on the validation images after which training "
        "stops; with null it never stops early.",
    )
    augmentation: Augmentation = Field(
        default=Augmentation(views=16, original=False, crop=0.05, mixup=1),
        description="How far the views of an image may be from it.",
    )


class AttentionDistillation(BaseDistillation):
    """Settings of `distill-attention`."""

    beta: float = Field(
        default=100,
        ge=0,
        description="Weight of the attention maps; 0 leaves the teacher's answers alone.",
    )


class EmbeddingDistillation(Distillation):
    """Settings of `distill-embedding`.

    The technique equals `distill` if `subclass_weight`, `distance_weight` and `angle_weight` are 0.
    """

    subclasses: int = Field(
        default=8,
        ge=2,
        description="Subclasses of each class, made of the directions in which the teacher's "
        "features of its images vary most.",
    )
    subclass_weight: float = Field(
        default=1, ge=0, description="Weight of the subclasses beside the classes."
    )
    subclass_temperature: float = Field(
        default=1, gt=0, description="Softens the teacher's subclasses; under 1 it sharpens them."
    )
    distance_weight: float = Field(
        default=0,
        ge=0,
        description="Weight of the distances between the images of a batch, as the teacher's "
        "features have them; 25 in the paper.",
    )
    angle_weight: float = Field(
        default=0, ge=0, description="Weight of the angles between them; 50 in the paper."
    )


class EvolutionaryDistillation(SoftTargets, Training):
    """Settings of `distill-evolutionary`: a teacher that is trained together with its student."""

    teacher: str = Field(
        default="residual-m", description="Name of the architecture of the evolving teacher."
    )
    epochs: int = Field(default=30, ge=1, description="Passes over the training images, at most.")
    alpha: float = Field(
        default=0.5, ge=0, le=1, description="Weight of the labels; the teacher has the rest."
    )
    guidance: float = Field(
        default=1.0, ge=0, description="Weight of the guided modules between the blocks."
    )

    @field_validator("teacher")
    @classmethod
    def _teacher_is_installed(cls, name: str) -> str:
        return _installed_student(name)

    @property
    def evolving(self) -> Student:
        """Descriptor of the teacher's architecture."""
        return installed().student(self.teacher)

    def uses(self) -> Sequence[Plugin]:
        return (*super().uses(), self.evolving)
