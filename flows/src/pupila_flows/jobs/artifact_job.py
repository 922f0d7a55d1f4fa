"""Base class and helpers for the jobs that make artifacts."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from pupila.artifact import Artifact, Origin
from pupila.digest import digest_file
from pupila.errors import PupilaError
from pupila.plugin import Plugin
from pupila.plugin_registry import installed
from pupila.step import StepResult
from pupila_flows.data.training_images import TrainingImages
from pupila_flows.execution.job import Job, Keyed


class StoredArtifact(BaseModel):
    """An artifact in the workspace's store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    artifact: str
    """Digest of the artifact."""
    format: str

    @classmethod
    def of(cls, artifact: Artifact) -> StoredArtifact:
        """Return the result for a job that made `artifact`."""
        return cls(artifact=artifact.digest, format=artifact.format)


class ArtifactJob(Job[StoredArtifact]):
    """Base of jobs whose result is an artifact in the store; the jobs may run on a cluster."""

    returns: ClassVar[Any] = StoredArtifact
    may_run_elsewhere: ClassVar[bool] = True

    def is_intact(self, result: StoredArtifact) -> bool:
        try:
            artifact = self.workspace.store.open(result.artifact)
        except PupilaError:
            return False
        return self.repair_training_images(artifact.path)

    def repair_training_images(self, folder: Path) -> bool:
        """Move a damaged list of training images in `folder` aside; return False if it was damaged.

        If the list is intact or absent, nothing is moved, and the result is True."""
        return not TrainingImages.put_aside_damaged(folder)


def _content(file: Path) -> str:
    return digest_file(file)


TrainedOn = Annotated[Path, Keyed(_content)] | None
"""File that lists the images a teacher was trained on; None if they are not known."""


def check_format(product: Any, plugin: Plugin, format: str) -> StepResult:
    """Return what a plugin returned, after checking that it is a `StepResult` in `format`.

    `format` is the format that the plugin declares. Without this check, the next step would
    fail and seem to be at fault.

    Raises:
        PupilaError: the plugin returned something else.
    """
    who = f"{plugin.name} of {installed().origin(plugin).distribution}"
    if not isinstance(product, StepResult):
        raise PupilaError(
            f"{who} returned {product!r}, where a StepResult was expected: correct it."
        )
    if product.format != format:
        raise PupilaError(
            f"{who} made an artifact of format {product.format!r}, but declares {format!r}: "
            f"correct `produces` of the plugin, or `format` of the StepResult that it returns."
        )
    return product


def record_fields(product: StepResult, origin: Origin) -> dict[str, Any]:
    """Return the fields of an artifact's record: those of the plugin's result, and the origin."""
    return {field.name: getattr(product, field.name) for field in fields(product)} | {
        "origin": origin
    }


def origin_of(plugin: Plugin, **details: Any) -> Origin:
    """Return the origin of an artifact that a plugin made, with `details` as further fields."""
    entry = installed().origin(plugin)
    return Origin(
        plugin=plugin.name, distribution=entry.distribution, version=entry.version, **details
    )
