"""Inputs of the gate: plain values, so that the gate's job can run anywhere and be cached."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from pupila.artifact import Threshold
from pupila.evaluation import Estimate, Evaluation
from pupila.plugin import CLASSIFICATION
from pupila.shift.evaluation import ShiftEvaluation
from pupila_flows.recipe.gate import GateSection

_FILES = ("probabilities", "validation_probabilities")
"""Fields of `Evaluation` that are paths in the workspace."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GateModel(_Model):
    """An evaluated model: an artifact, a teacher or a published model."""

    name: str = Field(
        description="Name of the entry, or of a published version, such as `version 2`."
    )
    evaluation: Evaluation
    threshold: Threshold | None = Field(
        default=None, description="Threshold that ships with the model; None if none ships."
    )
    shift: ShiftEvaluation | None = Field(
        default=None, description="Comparison with the teacher on altered images."
    )


class Incumbent(_Model):
    """A published version that one artifact is compared with."""

    role: Literal["published", "anchor"] = Field(
        description="`published` for the current version; `anchor` for an older version that "
        "later releases must not drift away from."
    )
    title: str = Field(description="Name without the role, such as `version 2`.")
    names: tuple[str, ...] = Field(
        description="Names of the entries whose artifacts the version has."
    )
    artifact: GateModel | None = Field(
        description="The version's model, evaluated on the images of this run. None if it is the "
        "checked artifact itself, or if the version has no artifact of that name."
    )
    same: bool = Field(
        default=False, description="Whether the version has the checked artifact itself."
    )

    @property
    def called(self) -> str:
        """Name of the version in sentences, such as `version 2 (published)`."""
        return f"{self.title} ({self.role})"


class Case(_Model):
    """One artifact that the gate checks, with the models it is compared with."""

    entry: str
    made: str = Field(description="How the artifact was made, in words.")
    error: str | None = Field(
        default=None, description="What went wrong with the artifact in this run."
    )
    artifact: GateModel | None = Field(
        description="The artifact with its evaluation; None if it was not evaluated."
    )
    teacher: GateModel | None = Field(
        description="Teacher that the artifact is compared with; None if it has no teacher."
    )
    incumbents: tuple[Incumbent, ...] = Field(
        default=(), description="Published versions that the artifact is compared with."
    )


class Images(_Model):
    """The images of one split."""

    fingerprint: str
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    columns: dict[str, tuple[str, ...]] = Field(
        default_factory=dict[str, tuple[str, ...]],
        description="Values by column of the manifest, one for each image; empty if not given.",
    )

    truths: tuple[tuple[float, ...], ...] | None = Field(
        default=None,
        description="What the label of each image says, in tasks other than classification.",
    )
    patients: tuple[str, ...] | None = Field(
        default=None,
        description="Patient of each image; None if the data does not name patients. Each image "
        "then counts as a different patient.",
    )

    def __len__(self) -> int:
        return len(self.paths)


class ExternalPredictions(_Model):
    """One model's predictions on an external set."""

    name: str = Field(description="Name of the entry or of the teacher.")
    probabilities: str = Field(description="Path of the predictions file `(images, classes)`.")
    correlation: Estimate | None = Field(
        default=None,
        description="Correlation of the model's logits with its teacher's; None if unknown.",
    )


class GateExternalSet(_Model):
    """An external set on which models are compared with their teachers."""

    name: str
    images: Images = Field(description="The images; every label is -1 if the set has no labels.")
    labelled: bool
    predictions: tuple[ExternalPredictions, ...]

    def predictions_of(self, name: str) -> ExternalPredictions | None:
        """Return a model's predictions on this set; None if the model was not evaluated on it."""
        return next((model for model in self.predictions if model.name == name), None)


class GateInputs(_Model):
    """Everything that a verdict depends on."""

    section: GateSection
    specificity: float = Field(
        description="Target specificity for the threshold of a model that ships none."
    )
    cases: tuple[Case, ...]
    rivals: tuple[GateModel, ...] = Field(
        default=(), description="Evaluated steps of the run, which advice may suggest instead."
    )
    published: str | None = Field(
        default=None, description="The current published version, such as `version 2`."
    )
    published_manifest: str | None = Field(
        default=None,
        description="SHA-256 of the published version's manifest, because version numbers are not "
        "unique across registries.",
    )
    anchor: str | None = Field(default=None, description="The anchor version, such as `version 1`.")
    task: str = Field(default=CLASSIFICATION, description="What the models have learned.")
    classes: tuple[str, ...]
    positive: str = Field(description="Positive class; empty in a task without classes.")
    test: Images
    validation: Images | None = Field(description="Validation images; None if there are none.")
    external: tuple[GateExternalSet, ...] = Field(
        default=(), description="External sets that the gate checks."
    )

    def identity(self) -> dict[str, Any]:
        """Return the inputs as JSON values that do not change if the workspace is moved.

        Each path of a predictions file is replaced by the name of the file, which does not change.
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
