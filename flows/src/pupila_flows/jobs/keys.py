"""The parts of a job's key that are not settings: the code that runs, and the images.

A key is a digest: jobs with the same key are the same job. A key leaves out only what cannot change
the result: the path of the workspace and, in jobs that read nothing but the contents of images, the
paths of these images. So workspaces and images may be moved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict

from pupila.dataset import Dataset
from pupila.plugin import CLASSIFICATION, Plugin
from pupila.plugin_registry import installed
from pupila.requirements import versions
from pupila_flows.data.frames import read_dataset, write_frame
from pupila_flows.execution.job import NOT_KEYED, Keyed
from pupila_flows.workspace import Workspace

Code = tuple[str, ...]
"""The code that a result depends on: `"distill of pupila-distill 0.1.0"`, `"pillow 12.0"`."""


def code_of(*plugins: Plugin, packages: tuple[str, ...] = ()) -> Code:
    """Return the versions of core, of `plugins`, and of the other distributions in `packages`.

    The versions of everything that these distributions require are included: see
    `pupila.requirements`.
    """
    return tuple(dict.fromkeys((*installed().code_of(*plugins), *versions(*packages))))


def _name(frame: Path) -> str:
    return frame.stem


class Images(BaseModel):
    """The images that a job works on, as a file in the workspace that lists them.

    All columns of the manifest are part of a job's key, even paths; see also `ImagesByContent`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame: Annotated[Path, Keyed(_name)]
    """File of the scanned manifest, named by its digest; see `pupila_flows.data.frames`."""
    fingerprint: str
    """Digest of the images' contents, labels, splits and classes."""
    classes: tuple[str, ...]
    task: Annotated[str, NOT_KEYED] = CLASSIFICATION
    """What the labels mean; the fingerprint depends on it."""

    @classmethod
    def of(cls, dataset: Dataset, workspace: Workspace) -> Images:
        """Write the list of a dataset's images into the workspace; return the list as `Images`."""
        return cls(
            frame=write_frame(dataset.frame, workspace.cache),
            fingerprint=dataset.fingerprint,
            classes=dataset.classes,
            task=dataset.task,
        )

    def read(self, workspace: Workspace) -> Dataset:
        """Return the dataset that the list describes."""
        return read_dataset(self.frame, list(self.classes), workspace.cache, self.task)


def _content(images: Images) -> str:
    return images.fingerprint


ImagesByContent = Annotated[Images, Keyed(_content)]
"""Images whose contents, labels, splits and classes are part of a key, but not their paths."""
