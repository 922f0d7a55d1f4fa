"""The recipe: what a run is asked to do, as a typed form of the YAML file.

The sentences of the fields are the reference in the docs and the form in the Prefect UI.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pupila.contract import OutputKind
from pupila_flows.validation.bounds import Bounds


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSection(_Section):
    """Where the images are, and what must be true of them."""

    path: str = Field(description="A class-per-folder tree or a CSV manifest.")
    classes: tuple[str, ...] | None = Field(
        default=None, min_length=2, description="Class names in order; by default alphabetical."
    )
    positive: str | None = Field(
        default=None, description="Class whose sensitivity counts; by default the first one."
    )
    expectations: Bounds = Field(default_factory=Bounds, description="Bounds of data validation.")


class TeacherSection(_Section):
    """A trained model to be compressed."""

    path: str = Field(description="Model file or SavedModel folder.")
    classes: tuple[str, ...] = Field(min_length=2, description="Class of each output column.")
    output: OutputKind = Field(default="softmax", description="softmax, logits or sigmoid.")


class StepSection(_Section):
    """One node of the graph: a plugin, what it works on, and its settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    use: str = Field(description="Name of a technique or exporter (see `pupila plugins`).")
    inputs: tuple[str, ...] = Field(
        default=(), alias="from", description="Teachers or steps that it works on, in order."
    )
    config: dict[str, Any] = Field(
        default_factory=dict, alias="with", description="Settings of the plugin."
    )
    timeout_minutes: float = Field(
        default=180, gt=0, description="The step is stopped after this long."
    )
    retries: int = Field(
        default=1, ge=0, description="Times it is tried again after a crash, from its checkpoint."
    )

    @field_validator("inputs", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class EvaluateSection(_Section):
    """How every artifact is judged."""

    specificity: float = Field(
        default=0.85, gt=0, lt=1, description="Specificity at which sensitivity is reported."
    )
    latency_repeats: int = Field(
        default=50, ge=5, description="Timed inferences of one image, after warm-up."
    )


class Recipe(_Section):
    """A whole run: data, teachers, and a graph of steps."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", description="Lower-case letters, digits and dashes."
    )
    seed: int = Field(default=0, ge=0, description="Seed of every random choice of the run.")
    workers: int = Field(default=2, ge=1, description="Steps that may run side by side.")
    data: DataSection = Field(description="The images, and what must be true of them.")
    teachers: dict[str, TeacherSection] = Field(
        default_factory=dict[str, TeacherSection], description="Trained models by name."
    )
    steps: dict[str, StepSection] = Field(min_length=1, description="The graph, by step name.")
    evaluate: EvaluateSection = Field(
        default_factory=EvaluateSection, description="How every artifact is judged."
    )
