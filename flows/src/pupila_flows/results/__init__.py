"""The result of a run, written as `result.json` for the report and for other programs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from pupila.errors import join_names
from pupila_flows.results.base import ResultModel
from pupila_flows.results.entries import (
    Check,
    DataSummary,
    Entry,
    ExternalResult,
    ExternalSet,
    RuntimeResult,
    SkippedImage,
)
from pupila_flows.results.gate import (
    ArtifactVerdict,
    Finding,
    GateResult,
    ReusedTestImages,
    Verdict,
    WrongImage,
)

__all__ = [
    "ArtifactVerdict",
    "Check",
    "DataSummary",
    "Entry",
    "ExternalResult",
    "ExternalSet",
    "Finding",
    "GateResult",
    "Publication",
    "ReusedTestImages",
    "RunResult",
    "RuntimeResult",
    "SkippedImage",
    "Verdict",
    "WrongImage",
]


class Publication(ResultModel):
    """Whether, why and in which registry a run's artifacts were published."""

    registry: str = Field(description="Address of the registry.")
    name: str = Field(description="Name under which versions are published.")
    outcome: Literal["published", "unchanged", "withheld"] = Field(
        description="published: a new version is current. unchanged: the current version already "
        "has these artifacts. withheld: nothing was published."
    )
    version: int | None = Field(
        description="Number of the current version, which has the artifacts; None if withheld."
    )
    reason: str = Field(
        description="Why the artifacts were published, or were not, in one sentence."
    )
    overridden_by: str | None = Field(
        default=None, description="Who published the version although the gate did not pass."
    )
    head: str | None = Field(
        default=None,
        description="SHA-256 of the event that made the version current, for "
        "`pupila verify --head`.",
    )


class RunResult(ResultModel):
    """The result of a whole run: its data, entries, gate and publication."""

    name: str
    recipe_path: str
    recipe_text: str
    seed: int
    synthetic: bool = Field(
        description="Whether the images were generated, so that no result is medical."
    )
    started: str = Field(description="Start of the run, as ISO 8601 in UTC.")
    seconds: float
    data: DataSummary
    entries: tuple[Entry, ...] = Field(description="Teachers first, then steps in order.")
    external: tuple[ExternalSet, ...] = Field(
        default=(), description="External images, used only for evaluation."
    )
    sweep: dict[str, tuple[Any, ...]] = Field(
        default_factory=dict,
        description="Values of a sweep, by `step.setting`; empty if the run is not a sweep.",
    )
    choose_by: Literal["accuracy", "fidelity"] = Field(
        default="accuracy", description="Metric by which the best point of a sweep is chosen."
    )
    specificity: float = Field(
        description="Target specificity for thresholds chosen on the validation images."
    )
    gate: GateResult | None = Field(
        default=None, description="The gate's verdict; None if the recipe has no gate."
    )
    publication: Publication | None = Field(
        default=None,
        description="Whether and where artifacts were published; None without a section `publish`.",
    )
    machine: str = Field(description="Processor, cores, memory, operating system.")
    versions: dict[str, str] = Field(description="Versions of the distributions in use.")
    test_images: tuple[str, ...] = Field(
        default=(), description="Paths of the test images, in the order of the predictions."
    )
    test_labels: tuple[int, ...] = Field(
        default=(),
        description="Class of each test image, as an index into `data.classes`. In other tasks, "
        "the group of each image that samples are spread over.",
    )
    test_truths: tuple[tuple[float | None, ...], ...] | None = Field(
        default=None,
        description="What the label of each test image says, in tasks other than classification; "
        "null where it says nothing.",
    )
    test_patients: tuple[int, ...] = Field(
        default=(),
        description="Number (not the name) of the patient of each test image; empty if the data "
        "has no patients.",
    )

    @property
    def unproven(self) -> list[str]:
        """A sentence for each teacher that was not shown to be above chance."""
        return [
            f"Teacher {entry.name} is {entry.chance.describe('validation')}."
            for entry in self.entries
            if entry.chance and not entry.chance.above
        ]

    @property
    def withheld(self) -> str | None:
        """Why nothing is published, as one line; None if no reason is known.

        A reason is known if the gate is inconclusive or publication was withheld.
        """
        if self.gate is None:
            return None
        if self.gate.verdict == "inconclusive":
            unclear = [
                artifact.entry for artifact in self.gate.artifacts if artifact.verdict != "pass"
            ]
            return (
                "Nothing is published: the gate cannot tell yet whether "
                f"{join_names(unclear)} {'is' if len(unclear) == 1 else 'are'} good enough; "
                "the report says what would tell."
            )
        publication = self.publication
        withheld = publication is not None and publication.outcome == "withheld"
        return publication.reason if publication and withheld else None
