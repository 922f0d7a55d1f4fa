"""The manifest of a published version: `manifest.json`, written after all other files."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pupila.artifact import Record
from pupila_flows.results import GateResult

MANIFEST = "manifest.json"
CARD, CARD_PAGE = "card.md", "card.html"
RESULT, RECIPE, REPORT = "result.json", "recipe.yaml", "report.html"
ARTIFACTS = "artifacts"
"""Folder that holds the published artifacts, one subfolder for each entry."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PublishedFile(_Model):
    """Size and digest of one file of a version."""

    sha256: str
    size_bytes: int


class Override(_Model):
    """A decision to publish a version although its gate did not pass: by whom, when and why."""

    version: int
    by: str = Field(description="Name of the person responsible.")
    reason: str
    at: str = Field(description="ISO 8601, UTC.")
    gate: str = Field(description="What the gate had said: fail, inconclusive, or `no gate`.")


class Link(_Model):
    """One artifact in the chain from the teachers to a published artifact."""

    entry: str = Field(description="Name of the teacher or step in the recipe.")
    kind: str = Field(description="teacher or step.")
    uses: str = Field(description="Plugin of the step, or file of the teacher.")
    record: Record = Field(description="The artifact's `artifact.json`, whose digest names it.")


class RunFacts(_Model):
    """The manifest's facts about the run that made a version."""

    recipe: str = Field(description="Text of the recipe.")
    started: str = Field(description="ISO 8601, UTC.")
    seconds: float
    seed: int
    synthetic: bool
    machine: str
    versions: dict[str, str] = Field(description="Python, plugins and libraries that were used.")


class DataFacts(_Model):
    """The manifest's facts about the data of the run."""

    name: str = Field(description="Last part of the path of the data.")
    fingerprint: str
    classes: tuple[str, ...]
    positive: str
    counts: dict[str, dict[str, int]] = Field(description="Images by split, then class.")


class Manifest(_Model):
    """The provenance of one version, complete enough to verify it offline."""

    layout: int = Field(default=1, description="Version of this file's layout, for other programs.")
    name: str
    version: int
    published: str = Field(description="ISO 8601, UTC.")
    by: str = Field(description="User and host.")
    artifacts: dict[str, str] = Field(description="Digest of each published artifact, by entry.")
    run: RunFacts
    data: DataFacts
    gate: GateResult | None
    overrides: tuple[Override, ...] = Field(
        description="The overrides of this and all earlier versions, oldest first."
    )
    chain: dict[str, Link] = Field(
        description="By digest: the published artifacts and everything they were made from."
    )
    files: dict[str, PublishedFile] = Field(description="Every other file of the version, by path.")

    @property
    def override(self) -> Override | None:
        """The override with which this version was published; None if there was no override."""
        return next(
            (override for override in self.overrides if override.version == self.version), None
        )
