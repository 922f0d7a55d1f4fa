"""Settings of `search` and `search-pick`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import Field, model_validator

from pupila import InputSpec, PupilaError
from pupila.plugin import CLASSIFICATION, Config, Task
from pupila.training.schedule import Schedule, check_one_teacher
from pupila.views import Augmentation
from pupila_search.genome import Space

if TYPE_CHECKING:
    from pupila.training.task import TaskTraining

Objective = Literal["loss", "fidelity", "bytes", "latency", "macs"]

_OF_THE_STUDY: dict[str, Any] = {
    "epochs": (5,),
    "alpha": 0.5,
    "temperature": 10.0,
    "population": 5,
    "children": 3,
    "finalists": 0,
    "learning_rate": 1e-3,
    "max_bytes": None,
    "max_macs": None,
    "objectives": ("loss", "bytes", "macs"),
}
"""Defaults of the strategy `append`, from the study: five students, three of which grow in each
round."""


class Search(Config):
    """Settings of `search`: which models are tried, how they are trained, and for how long."""

    former_names: ClassVar[Mapping[str, str]] = {
        "trainings": "max_candidates",
        "oldest": "max_age",
        "lesson": "distillation",
        "maximum_bytes": "max_bytes",
        "maximum_macs": "max_macs",
    }

    strategy: Literal["evolve", "append"] = Field(
        default="evolve",
        description="evolve: mutation and crossover of many kinds of block; append: one "
        "convolution at a time, with the study's own settings where none are given.",
    )
    minutes: float | None = Field(
        default=30.0,
        gt=0,
        description="Minutes after which no further training starts; with null only "
        "`max_candidates` ends the search.",
    )
    max_candidates: int | None = Field(
        default=None, ge=1, description="Candidates that are trained at most."
    )
    target: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Validation accuracy within `max_bytes` that ends the search when reached.",
    )
    max_bytes: int | None = Field(
        default=200_000,
        ge=1,
        description="Largest int8 file, as estimated: evolve draws no larger genome, and no larger "
        "one is chosen.",
    )
    max_macs: int | None = Field(
        default=15_000_000,
        ge=1,
        description="Most multiply-accumulates of a candidate, which bounds the time of training.",
    )
    size: int = Field(default=64, ge=16, description="Rows and columns of the input in pixels.")
    objectives: tuple[Objective, ...] = Field(
        default=("loss", "bytes", "latency"),
        min_length=1,
        description="What is minimised, on the validation images or of the model. With fidelity "
        "in place of loss, epochs, parents and the written model are chosen by their fidelity to "
        "the teacher on altered validation images. Latency is measured, so a search with it is "
        "never quite the same twice; macs can replace it.",
    )
    epochs: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(4, 12),
        min_length=1,
        description="Passes over the images in each stage: after each the better half goes on.",
    )
    population: int = Field(default=8, ge=2, description="Candidates that breed.")
    children: int = Field(default=8, ge=1, description="Candidates of each further generation.")
    crossover: float = Field(
        default=0.25, ge=0, le=1, description="Fraction of the children that have two parents."
    )
    max_age: int = Field(
        default=6, ge=1, description="Generations after which a candidate no longer breeds."
    )
    finalists: int = Field(
        default=3, ge=0, description="Best candidates that are fine-tuned at the end."
    )
    tuning_epochs: int = Field(
        default=10,
        ge=1,
        description="Passes with the first blocks frozen, and again with all of them trained, at a "
        "tenth of the rate.",
    )
    distillation: Literal["plain", "oracle"] = Field(
        default="plain",
        description="plain: the mean of all teachers; oracle: image by image, of the teachers that "
        "are right, and the label where none is (Kang et al. 2020).",
    )
    workers: int = Field(
        default=2,
        ge=1,
        description="Candidates that are trained side by side, here or on a cluster.",
    )
    alpha: float = Field(
        default=0.1, ge=0, le=1, description="Weight of the labels; the teachers have the rest."
    )
    temperature: float = Field(
        default=4.0, gt=0, description="Softens the answers of both: 1 leaves them as they are."
    )
    batch_size: int = Field(default=32, ge=1, description="Images of one training step.")
    learning_rate: float = Field(
        default=4e-3,
        gt=0,
        le=1,
        description="Highest rate of AdamW in each stage, which falls to 0 by a cosine.",
    )
    augmentation: Augmentation = Field(
        default=Augmentation(views=4), description="How far the views of an image may be from it."
    )

    @model_validator(mode="before")
    @classmethod
    def _follow_the_study(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        named = cast("dict[str, Any]", given)
        return _OF_THE_STUDY | named if named.get("strategy") == "append" else named

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.minutes is None and self.max_candidates is None:
            raise ValueError(
                "`minutes` and `max_candidates` are both null: give one, or no end comes"
            )
        return self

    @model_validator(mode="after")
    def _chooses_by_one(self) -> Self:
        if {"loss", "fidelity"} <= set(self.objectives):
            raise ValueError("`objectives` names loss and fidelity: name the one to choose by")
        return self

    def for_task(self, task: Task) -> Self:
        for name, value, general in (
            ("strategy", self.strategy, "evolve"),
            ("distillation", self.distillation, "plain"),
        ):
            if task.name != CLASSIFICATION and value != general:
                raise PupilaError(
                    f"`{name}: {value}` is for the task {CLASSIFICATION!r} alone, and the data is "
                    f"labelled for {task.name!r}: write `{name}: {general}`."
                )
        return super().for_task(task)

    def check_inputs(self, count: int) -> None:
        if self.by_fidelity:
            check_one_teacher("`objectives` names 'fidelity'", count)

    @property
    def by_fidelity(self) -> bool:
        """Whether candidates are chosen by fidelity to the teacher instead of loss and accuracy."""
        return "fidelity" in self.objectives

    @property
    def input(self) -> InputSpec:
        """Input spec of all candidates."""
        return InputSpec(height=self.size, width=self.size)

    def smallest_bytes(self, classes: int, task: TaskTraining | None = None) -> int:
        """Return the size in bytes of the smallest int8 file that a search can produce.

        `task` says how a task other than classification is learned.
        """
        return Space(self.input, classes, task=task).smallest_bytes

    def schedule(self, epochs: int, learning_rate: float) -> Schedule:
        """Return the training schedule of one stage."""
        return Schedule(
            epochs=epochs,
            batch_size=self.batch_size,
            learning_rate=learning_rate,
            patience=None,
            augmentation=self.augmentation,
        )


class Pick(Config):
    """Settings of `search-pick`: which model of a search's Pareto front to write."""

    pick: str = Field(description="Name of a model of the front, as the report gives it: c12.")
