"""Import a teacher into the store, with the loader of its format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pupila.digest import digest_tree
from pupila.errors import PupilaError
from pupila.pixel_scaling import Preprocess, scaling_of
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
from pupila_flows.plan.plan import PlannedTeacher, preprocess_fault
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
    preprocess: Preprocess = "none"
    """Scaling of pixels outside the model, which the loader builds into it."""
    trained_on: TrainedOn = None
    code: Code

    @classmethod
    def of(cls, workspace: Workspace, teacher: PlannedTeacher) -> ArtifactJob:
        """Return the job for a teacher; a teacher that is already an artifact is only copied.

        Raises:
            PupilaError: no loader reads the file, or its loader cannot build the scaling in.
        """
        if teacher.artifact:
            return AdoptArtifact.of(
                workspace, teacher.name, teacher.artifact, teacher.training_images
            )
        loader = installed().loader(teacher.path)
        if fault := preprocess_fault(loader, teacher.path, teacher.preprocess):
            raise PupilaError(fault)
        return cls(
            workspace=workspace,
            title=teacher.name,
            path=teacher.path,
            sha256=digest_tree(teacher.path),
            output=teacher.spec,
            preprocess=teacher.preprocess,
            trained_on=teacher.training_images,
            code=code_of(loader),
        )

    @property
    def timeout_seconds(self) -> float:
        """Time limit that grows with the model's size: reading a damaged file might never end."""
        return _SECONDS + _SECONDS_PER_BYTE * _bytes(self.path)

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on; without `preprocess`, the key has no such field."""
        identity = super().identity()
        del identity["preprocess"]
        return identity | self._settings

    @property
    def _settings(self) -> dict[str, str]:
        return {} if self.preprocess == "none" else {"preprocess": self.preprocess}

    def run(self, progress: Progress) -> StoredArtifact:
        loader = installed().loader(self.path)
        progress(0, 1, f"reading {self.path.name}")
        store = self.workspace.store
        with store.draft() as folder:
            with installed().calling(loader):
                scaling = scaling_of(self.preprocess)
                more = (scaling,) if scaling else ()
                loaded = loader.load()(self.path, self.output, folder, *more)
            product = check_format(loaded, loader, loader.produces)
            source = digest_tree(self.path)
            origin = origin_of(loader, source=source, config=self._settings)
            artifact = store.add(folder, **record_fields(product, origin))
        known = TrainingImages.read(self.trained_on.parent) if self.trained_on else None
        if known:
            known.write(artifact.path)
        progress(1, 1, f"read {self.path.name}")
        return StoredArtifact.of(artifact)


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
