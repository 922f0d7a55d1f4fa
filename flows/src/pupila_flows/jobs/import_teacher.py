"""Import a teacher into the store, with the loader of its format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pupila.digest import digest_tree
from pupila.plugin_registry import installed
from pupila.runtime import Progress
from pupila.spec import OutputSpec
from pupila_flows.data.training_images import TrainingImages
from pupila_flows.execution.job import NOT_KEYED, Keyed
from pupila_flows.jobs.adopt_artifact import AdoptArtifact
from pupila_flows.jobs.artifact_job import (
    ArtifactJob,
    StoredArtifact,
    TrainedOn,
    check_format,
    origin_of,
    record_fields,
)
from pupila_flows.jobs.keys import Code, code_of
from pupila_flows.plan.plan import PlannedTeacher
from pupila_flows.workspace import Workspace

_SECONDS = 180.0
_SECONDS_PER_BYTE = 1e-6
"""Time limit: for the libraries to start, plus one second per megabyte."""


def _record(output: OutputSpec) -> dict[str, Any]:
    return output.model_dump(mode="json")  # without the defaults, as in the record of an artifact


class ImportTeacher(ArtifactJob):
    """Import a model file or a SavedModel folder as an artifact."""

    runs_models: ClassVar[bool] = True

    path: Annotated[Path, NOT_KEYED]
    sha256: str
    output: Annotated[OutputSpec, Keyed(_record)]
    trained_on: TrainedOn = None
    code: Code

    @classmethod
    def of(cls, workspace: Workspace, teacher: PlannedTeacher) -> ArtifactJob:
        """Return the job for a teacher; a teacher that is already an artifact is only copied."""
        if teacher.artifact:
            return AdoptArtifact.of(
                workspace, teacher.name, teacher.artifact, teacher.training_images
            )
        return cls(
            workspace=workspace,
            title=teacher.name,
            path=teacher.path,
            sha256=digest_tree(teacher.path),
            output=teacher.spec,
            trained_on=teacher.training_images,
            code=code_of(installed().loader(teacher.path)),
        )

    @property
    def timeout_seconds(self) -> float:
        """Time limit that grows with the model's size: reading a damaged file might never end."""
        return _SECONDS + _SECONDS_PER_BYTE * _bytes(self.path)

    def run(self, progress: Progress) -> StoredArtifact:
        loader = installed().loader(self.path)
        progress(0, 1, f"reading {self.path.name}")
        store = self.workspace.store
        with store.draft() as folder:
            with installed().calling(loader):
                loaded = loader.load()(self.path, self.output, folder)
            product = check_format(loaded, loader, loader.produces)
            origin = origin_of(loader, source=digest_tree(self.path))
            artifact = store.add(folder, **record_fields(product, origin))
        known = TrainingImages.read(self.trained_on.parent) if self.trained_on else None
        if known:
            known.write(artifact.path)
        progress(1, 1, f"read {self.path.name}")
        return StoredArtifact.of(artifact)


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
