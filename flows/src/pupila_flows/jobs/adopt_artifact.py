"""Copy an artifact from another workspace or from a registry into the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pupila.artifact import TRAINING_IMAGES_NAME, Artifact
from pupila.plugin_registry import installed
from pupila.runtime import Progress
from pupila_flows.data.training_images import TrainingImages
from pupila_flows.execution.job import NOT_KEYED
from pupila_flows.jobs.artifact_job import ArtifactJob, StoredArtifact, TrainedOn
from pupila_flows.workspace import Workspace


class AdoptArtifact(ArtifactJob):
    """Copy an artifact's folder into the store, and check that it is safe to open."""

    seconds_allowed: ClassVar[float | None] = 600.0

    path: Annotated[Path, NOT_KEYED]
    digest: str
    trained_on: TrainedOn = None

    @classmethod
    def of(
        cls, workspace: Workspace, title: str, artifact: Artifact, trained_on: Path | None = None
    ) -> AdoptArtifact:
        """Return the job that copies `artifact`, which is not in the store."""
        return cls(
            workspace=workspace,
            title=title,
            path=artifact.path,
            digest=artifact.digest,
            trained_on=trained_on,
        )

    def run(self, progress: Progress) -> StoredArtifact:
        progress(0, 1, f"copying {self.path.name}")
        artifact = self.workspace.store.adopt(self.path)
        installed().check(artifact)
        known = TrainingImages.read((self.trained_on or self.path / TRAINING_IMAGES_NAME).parent)
        if known:
            known.write(artifact.path)
        progress(1, 1, f"copied {self.path.name}")
        return StoredArtifact.of(artifact)
