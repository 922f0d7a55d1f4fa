"""Make hard negatives from the training images, if a recipe asks for them."""

from __future__ import annotations

from typing import ClassVar

from pupila.dataset import Dataset
from pupila.runtime import Progress
from pupila_flows.data.hard_negatives.kinds import KINDS
from pupila_flows.data.hard_negatives.writing import write_negatives
from pupila_flows.jobs.image_folder import ImageFolder, ImageFolderJob
from pupila_flows.jobs.keys import Code, Images, ImagesByContent, code_of
from pupila_flows.recipe.schema import HardNegativesSection
from pupila_flows.workspace import Workspace


class MakeHardNegatives(ImageFolderJob):
    """Make images of a class that a filter must reject, from the training images."""

    kind: ClassVar[str] = "negatives"

    train: ImagesByContent
    label: str
    count: int
    seed: int
    kinds: tuple[str, ...] = tuple(KINDS)
    code: Code

    @classmethod
    def of(
        cls, workspace: Workspace, train: Dataset, section: HardNegativesSection, seed: int
    ) -> MakeHardNegatives:
        """Return the job that makes hard negatives from a run's training images."""
        return cls(
            workspace=workspace,
            title="hard-negatives",
            train=Images.of(train, workspace),
            label=section.label,
            count=section.images,
            seed=seed,
            code=code_of(packages=("pupila-flows",)),
        )

    def run(self, progress: Progress) -> ImageFolder:
        train = self.train.read(self.workspace)
        write_negatives(train, self.label, self.count, self.seed, self.folder, progress)
        return ImageFolder(folder=self.folder, files=self.count)
