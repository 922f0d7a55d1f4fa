"""What jobs have in their keys beside their own settings: the code that does them, and the images.

A key is a digest, so two jobs with one key are one job. What is left out of it must not change the
result: where the workspace and the images lie is left out, so that both may be moved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict

from pupila.dataset import Dataset
from pupila.plugin import Plugin
from pupila.plugin_registry import installed
from pupila.requirements import versions
from pupila_flows.data.frames import read_dataset, write_frame
from pupila_flows.execution.job import Keyed
from pupila_flows.workspace import Workspace

Code = tuple[str, ...]
"""The code that a result depends on: `"distill of pupila-distill 0.1.0"`, `"pillow 12.0"`."""


def code_of(*plugins: Plugin, packages: tuple[str, ...] = ()) -> Code:
    """Return the versions of core, of plugins, and of distributions beside them.

    Those of what they require are among them: see `pupila.requirements`.
    """
    return tuple(dict.fromkeys((*installed().code_of(*plugins), *versions(*packages))))


def _name(frame: Path) -> str:
    return frame.stem


class Images(BaseModel):
    """The images that a job works on, as a file in the workspace that lists them.

    In the key is every column of the manifest, paths and sites too; see `ImagesByContent`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame: Annotated[Path, Keyed(_name)]
    """A scanned manifest, see `pupila_flows.data.frames`; named by the digest of its content."""
    fingerprint: str
    """Of contents, labels, splits and classes."""
    classes: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Dataset, workspace: Workspace) -> Images:
        """Write down the images of a dataset."""
        return cls(
            frame=write_frame(dataset.frame, workspace.cache),
            fingerprint=dataset.fingerprint,
            classes=dataset.classes,
        )

    def read(self, workspace: Workspace) -> Dataset:
        """Return the dataset."""
        return read_dataset(self.frame, list(self.classes), workspace.cache)


def _content(images: Images) -> str:
    return images.fingerprint


ImagesByContent = Annotated[Images, Keyed(_content)]
"""Images of which contents, labels, splits and classes are in the key: the files may be moved."""
