"""Base class of the jobs that make images; each job writes to a folder named by its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from pupila_flows.execution.job import Job


class ImageFolder(BaseModel):
    """A folder with a subfolder for each kind of images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    files: int
    """Total number of images."""


class ImageFolderJob(Job[ImageFolder]):
    """Base of the jobs that make images.

    If one of the images is missing later, the job makes all of its images again.
    """

    returns: ClassVar[Any] = ImageFolder
    kind: ClassVar[str]
    """Subfolder of the cache that holds the image folders of these jobs."""

    @property
    def folder(self) -> Path:
        return self.workspace.cache / self.kind / self.key[:16]

    def is_intact(self, result: ImageFolder) -> bool:
        return sum(1 for _ in result.folder.glob("*/*")) == result.files
