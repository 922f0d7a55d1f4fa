"""What the jobs that make images have in common: a folder, named by all that they depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from pupila_flows.execution.job import Job


class ImageFolder(BaseModel):
    """A folder with a folder of images for each kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    files: int
    """How many images there are in all."""


class ImageFolderJob(Job[ImageFolder]):
    """Base of the jobs that make images; where some of them are lost, all are made again."""

    returns: ClassVar[Any] = ImageFolder
    kind: ClassVar[str]
    """Folder of the cache in which its folders lie."""

    @property
    def folder(self) -> Path:
        return self.workspace.cache / self.kind / self.key[:16]

    def is_intact(self, result: ImageFolder) -> bool:
        return sum(1 for _ in result.folder.glob("*/*")) == result.files
