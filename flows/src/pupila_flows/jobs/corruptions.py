"""Make altered copies of the test images of the accepted class, for an open-set evaluation."""

from __future__ import annotations

from typing import ClassVar

from pupila.dataset import Dataset
from pupila.runtime import Progress
from pupila_flows.data.open_set.corruptions import ALTERATIONS, code, write_altered
from pupila_flows.jobs.image_folder import ImageFolder, ImageFolderJob
from pupila_flows.jobs.keys import Code, Images, ImagesByContent, code_of
from pupila_flows.workspace import Workspace


class MakeCorruptions(ImageFolderJob):
    """Write an altered copy of each image of the accepted class, for each alteration."""

    kind: ClassVar[str] = "altered"

    accepted: ImagesByContent
    code: Code

    @classmethod
    def of(cls, workspace: Workspace, accepted: Dataset) -> MakeCorruptions:
        """Return the job that alters `accepted`, the test images of the accepted class."""
        return cls(
            workspace=workspace,
            title="alter-images",
            accepted=Images.of(accepted, workspace),
            code=(code(), *code_of(packages=("pupila-flows",))),
        )

    def run(self, progress: Progress) -> ImageFolder:
        paths = self.accepted.read(self.workspace).paths
        write_altered(paths, self.folder, progress)
        return ImageFolder(folder=self.folder, files=len(ALTERATIONS) * len(paths))
