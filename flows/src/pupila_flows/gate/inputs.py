"""What the gate is asked: plain values, so that it can be asked anywhere and be remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from pupila.artifact import Threshold
from pupila.evaluation import Evaluation
from pupila_flows.recipe.gate import GateSection


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Side(_Model):
    """A judged model."""

    name: str = Field(description="Of the entry; of what is published, `version 2`.")
    evaluation: Evaluation
    threshold: Threshold | None = Field(default=None, description="The one that ships with it.")

    def locked(self, positive: str) -> tuple[float, str] | None:
        """Return the threshold for a class that no test image had a part in, and its origin.

        It is the one that ships, where one does, else that chosen on the validation images.
        """
        if self.threshold and self.threshold.positive == positive:
            return self.threshold.value, "its shipped threshold"
        for point in self.evaluation.metrics.operating_points:
            if point.chosen_on == "validation":
                return point.threshold, "the threshold chosen on the validation images"
        return None


class Case(_Model):
    """One artifact that the gate is asked about."""

    entry: str
    made: str = Field(description="What was tried: how it was made, in words.")
    error: str | None = Field(default=None, description="What went wrong with it in this run.")
    artifact: Side | None = Field(description="None where it was not judged.")
    teacher: Side | None = Field(description="What it is compared with; None where nothing is.")
    incumbent: Side | None = Field(
        default=None, description="What is published now under its name, where that is another."
    )
    standing: Literal["same", "missing"] | None = Field(
        default=None,
        description="Why it has no incumbent though something is published: it is that very "
        "artifact, or there is none of its name.",
    )


class Question(_Model):
    """All that a verdict depends on."""

    section: GateSection
    cases: tuple[Case, ...]
    rivals: tuple[Side, ...] = Field(
        default=(), description="Steps of the run that were judged: what could be tried instead."
    )
    published: str | None = Field(default=None, description="What is published: `version 2`.")
    published_manifest: str | None = Field(
        default=None, description="SHA-256 of its manifest: a number is not unique to a registry."
    )
    published_names: tuple[str, ...] = Field(
        default=(), description="Entries whose artifacts are published."
    )
    classes: tuple[str, ...]
    positive: str
    images: tuple[str, ...] = Field(description="Paths of the test images.")
    labels: tuple[int, ...]
    columns: dict[str, tuple[str, ...]] = Field(
        default_factory=dict[str, tuple[str, ...]],
        description="Value of each test image, by column; empty where it has none.",
    )

    def identity(self) -> dict[str, Any]:
        """Return the same without paths of predictions: a workspace may be moved."""
        return _without_folders(self.model_dump(mode="json"))


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return {
            key: Path(each).name if key == "probabilities" else _without_folders(each)
            for key, each in named.items()
        }
    if isinstance(value, list):
        return [_without_folders(each) for each in cast("list[Any]", value)]
    return value
