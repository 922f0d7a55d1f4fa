"""Make synthetic images and a teacher for the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from pupila.runtime import Progress
from pupila_flows.data.reading import read_data
from pupila_flows.execution.job import NOT_KEYED, Job
from pupila_flows.jobs.keys import Code, code_of
from pupila_flows.workspace import Workspace


class SyntheticData(BaseModel):
    """Paths of the synthetic images and of the teacher trained on them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: Path
    teacher: Path


class MakeSynthetic(Job[SyntheticData]):
    """Generate synthetic images, and train a teacher on them."""

    runs_models: ClassVar[bool] = True
    returns: ClassVar[Any] = SyntheticData

    folder: Annotated[Path, NOT_KEYED]
    seed: int
    counts: dict[str, int]
    """Number of images of each class, by split."""
    code: Code

    @classmethod
    def of(cls, workspace: Workspace, seed: int, counts: dict[str, int]) -> MakeSynthetic:
        """Return the job that writes the images and the teacher to the workspace."""
        return cls(
            workspace=workspace,
            title="synthetic data and teacher",
            folder=workspace.root / "synthetic",
            seed=seed,
            counts=counts,
            code=code_of(packages=("pupila-flows", "tensorflow", "keras")),
        )

    def run(self, progress: Progress) -> SyntheticData:
        from pupila_flows.data.synthetic import write_images, write_teacher

        images, teacher = self.folder / "images", self.folder / "teacher.keras"
        write_images(images, self.counts, seed=self.seed, progress=progress)
        dataset = read_data(images, None, self.workspace.cache)
        write_teacher(dataset, teacher, seed=self.seed, progress=progress)
        return SyntheticData(images=images, teacher=teacher)

    def is_intact(self, result: SyntheticData) -> bool:
        return result.images.exists() and result.teacher.exists()
