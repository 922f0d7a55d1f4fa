"""What the gate is asked: plain values, so that it can be asked anywhere and be remembered."""

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


class Side(_Model):
    """A judged model."""

    name: str = Field(description="Of the entry; of what is published, `version 2`.")
    evaluation: Evaluation
    threshold: Threshold | None = Field(default=None, description="The one that ships with it.")
    shift: ShiftEvaluation | None = Field(
        default=None, description="How it answers beside its teacher on altered images."
    )


class Earlier(_Model):
    """A published version, as far as one artifact is compared with it."""

    role: Literal["published", "anchor"] = Field(
        description="What is current now, or what no later release may drift away from."
    )
    title: str = Field(description="`version 2`.")
    names: tuple[str, ...] = Field(description="Entries whose artifacts it holds.")
    artifact: Side | None = Field(
        description="Judged on the images of this run; None where it is the very artifact that is "
        "asked about, or there is none of its name."
    )
    same: bool = Field(default=False, description="It is the very artifact that is asked about.")

    @property
    def called(self) -> str:
        """What it is called in sentences: `version 2 (published)`."""
        return f"{self.title} ({self.role})"


class Case(_Model):
    """One artifact that the gate is asked about."""

    entry: str
    made: str = Field(description="What was tried: how it was made, in words.")
    error: str | None = Field(default=None, description="What went wrong with it in this run.")
    artifact: Side | None = Field(description="None where it was not judged.")
    teacher: Side | None = Field(description="What it is compared with; None where nothing is.")
    earlier: tuple[Earlier, ...] = Field(
        default=(), description="What was published under its name that it is compared with too."
    )


class Images(_Model):
    """The images of one split."""

    fingerprint: str
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    columns: dict[str, tuple[str, ...]] = Field(
        default_factory=dict[str, tuple[str, ...]],
        description="Value of each image, by column; empty where it has none.",
    )

    patients: tuple[str, ...] | None = Field(
        default=None,
        description="Whose images they are; None where the data does not tell: then each image is "
        "taken for another patient's.",
    )

    def __len__(self) -> int:
        return len(self.paths)


class PlaceAnswers(_Model):
    """What one model answers to the images of another place."""

    name: str = Field(description="Of the entry, or of the teacher.")
    probabilities: str = Field(description="Predictions file `(images, classes)`.")
    correlation: Estimate | None = Field(
        default=None, description="Of its logits with its teacher's; None where it is not known."
    )


class Place(_Model):
    """Images of another place on which models are held against their teachers."""

    name: str
    images: Images = Field(description="Their labels are -1 where they have none.")
    labelled: bool
    answers: tuple[PlaceAnswers, ...]

    def answers_of(self, name: str) -> PlaceAnswers | None:
        """Return what a model answers; None where it was not judged there."""
        return next((each for each in self.answers if each.name == name), None)


class Question(_Model):
    """All that a verdict depends on."""

    section: GateSection
    specificity: float = Field(
        description="For which a threshold is chosen on the validation images where none ships."
    )
    cases: tuple[Case, ...]
    rivals: tuple[Side, ...] = Field(
        default=(), description="Steps of the run that were judged: what could be tried instead."
    )
    published: str | None = Field(default=None, description="What is published: `version 2`.")
    published_manifest: str | None = Field(
        default=None, description="SHA-256 of its manifest: a number is not unique to a registry."
    )
    anchor: str | None = Field(default=None, description="The version that is the anchor.")
    classes: tuple[str, ...]
    positive: str
    test: Images
    validation: Images | None = Field(description="None where the data has none.")
    external: tuple[Place, ...] = Field(
        default=(), description="Images of other places that are asked about too."
    )

    def identity(self) -> dict[str, Any]:
        """Return the same without paths of predictions: a workspace may be moved."""
        return _without_folders(self.model_dump(mode="json"))


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return {
            key: Path(each).name if each and key in _FILES else _without_folders(each)
            for key, each in named.items()
        }
    if isinstance(value, list):
        return [_without_folders(each) for each in cast("list[Any]", value)]
    return value
