"""Inputs of the gate: plain values, so that its job can run anywhere and be cached."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from pupila.artifact import Threshold
from pupila.evaluation import Estimate, Evaluation
from pupila.shift.evaluation import ShiftEvaluation
from pupila_flows.recipe.gate import GateSection

_FILES = ("probabilities", "validation_probabilities")
"""Fields of `Evaluation` that are paths in the workspace."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GateModel(_Model):
    """An evaluated model."""

    name: str = Field(description="Of the entry; `version 2` if it is published.")
    evaluation: Evaluation
    threshold: Threshold | None = Field(default=None, description="The one that ships with it.")
    shift: ShiftEvaluation | None = Field(
        default=None, description="How it compares with its teacher on altered images."
    )


class Incumbent(_Model):
    """A published version that one artifact is compared with."""

    role: Literal["published", "anchor"] = Field(
        description="The current version, or the one that no later release may drift away from."
    )
    title: str = Field(description="`version 2`.")
    names: tuple[str, ...] = Field(description="Entries whose artifacts it holds.")
    artifact: GateModel | None = Field(
        description="Evaluated on the images of this run; None if it is the same artifact, or the "
        "version has none of that name."
    )
    same: bool = Field(default=False, description="It is the artifact that is checked.")

    @property
    def called(self) -> str:
        """Name of the version in sentences, such as `version 2 (published)`."""
        return f"{self.title} ({self.role})"


class Case(_Model):
    """One artifact that the gate checks, with the models it is compared with."""

    entry: str
    made: str = Field(description="How it was made, in words.")
    error: str | None = Field(default=None, description="What went wrong with it in this run.")
    artifact: GateModel | None = Field(description="None if it was not evaluated.")
    teacher: GateModel | None = Field(
        description="What it is compared with; None if it has no teacher."
    )
    incumbents: tuple[Incumbent, ...] = Field(
        default=(), description="Published versions it is compared with too."
    )


class Images(_Model):
    """The images of one split."""

    fingerprint: str
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    columns: dict[str, tuple[str, ...]] = Field(
        default_factory=dict[str, tuple[str, ...]],
        description="Value of each image, by column; empty if it has none.",
    )

    patients: tuple[str, ...] | None = Field(
        default=None,
        description="Patient of each image; None if the data has no patients: then each image "
        "counts as a patient of its own.",
    )

    def __len__(self) -> int:
        return len(self.paths)


class ExternalPredictions(_Model):
    """One model's predictions on an external set."""

    name: str = Field(description="Of the entry, or of the teacher.")
    probabilities: str = Field(description="Predictions file `(images, classes)`.")
    correlation: Estimate | None = Field(
        default=None, description="Of its logits with its teacher's; None if not known."
    )


class GateExternalSet(_Model):
    """An external set on which models are compared with their teachers."""

    name: str
    images: Images = Field(description="Labels are -1 if they have none.")
    labelled: bool
    predictions: tuple[ExternalPredictions, ...]

    def predictions_of(self, name: str) -> ExternalPredictions | None:
        """Return a model's predictions on this set; None if it was not evaluated on it."""
        return next((model for model in self.predictions if model.name == name), None)


class GateInputs(_Model):
    """Everything that a verdict depends on."""

    section: GateSection
    specificity: float = Field(
        description="Target of the threshold chosen on the validation images if none ships."
    )
    cases: tuple[Case, ...]
    rivals: tuple[GateModel, ...] = Field(
        default=(), description="Evaluated steps of the run: what could be used instead."
    )
    published: str | None = Field(default=None, description="What is published: `version 2`.")
    published_manifest: str | None = Field(
        default=None,
        description="SHA-256 of its manifest: version numbers are not unique across registries.",
    )
    anchor: str | None = Field(default=None, description="The version that is the anchor.")
    classes: tuple[str, ...]
    positive: str
    test: Images
    validation: Images | None = Field(description="None if the data has none.")
    external: tuple[GateExternalSet, ...] = Field(
        default=(), description="External sets that are checked too."
    )

    def identity(self) -> dict[str, Any]:
        """Return the inputs as JSON values, with predictions files named without their folders.

        They stay the same if the workspace is moved.
        """
        return _without_folders(self.model_dump(mode="json"))


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {
            key: Path(field).name if field and key in _FILES else _without_folders(field)
            for key, field in fields.items()
        }
    if isinstance(value, list):
        return [_without_folders(item) for item in cast("list[Any]", value)]
    return value
