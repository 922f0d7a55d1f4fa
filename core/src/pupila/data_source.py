"""What a reader of data sets receives, and what it yields for each image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pupila.errors import PupilaError
from pupila.image_formats import count_left_out
from pupila.plugin import Config, Task
from pupila.store import write_atomically

ConfigT = TypeVar("ConfigT", bound=Config)

Classes = Sequence[str] | None
"""Names of classes or, in other tasks, of what the labels are about; None if they are not given."""


class ListedImage(NamedTuple):
    """One image of a data set, as its reader lists it."""

    origin: str
    """Where it is listed, for messages: `line 3`. Empty if the reader has seen the file itself."""
    values: Mapping[str, str]
    """Values by column, the same columns for every image: `path` (absolute, or relative to the data
    set), `split`, the label (`label`, or the columns of another task), and others, such as
    `patient`."""


@dataclass(frozen=True)
class ReaderChoice:
    """Which reader reads a data set, with which settings, and where it may write images."""

    name: str | None = None
    """Name of the reader; None for the one that recognises the data."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    cache: Path | None = None
    """Folder below which the reader may write image files."""


AUTOMATIC = ReaderChoice()
"""The reader that recognises the data, with its default settings."""


@dataclass(frozen=True)
class DataSource(Generic[ConfigT]):
    """A data set to be read."""

    path: Path
    """Absolute path of the file or folder."""
    config: ConfigT
    task: Task
    classes: Classes = None
    complete: bool = True
    """Whether every image must have a label and a split. If not, models are only evaluated on the
    images, and the columns may be missing or empty."""
    cache: Path | None = None
    left_out: Counter[str] = field(default_factory=Counter[str])
    """Number of files by suffix that are not images."""

    def leave_out(self, file: str) -> None:
        """Count a file that is not an image, for the line about such files, unless it is hidden."""
        count_left_out(file, self.left_out)

    def write_image(self, content: bytes, suffix: str) -> str:
        """Write an image file that is not a file in the data set, and return its absolute path.

        The file is named by its content. It is written at once and only if it is not there, so a
        file that is read has the same path every time, and two processes may write it.

        Raises:
            PupilaError: there is no folder for it.
        """
        if self.cache is None:
            raise PupilaError(
                f"The images of {str(self.path)!r} must be written as files, and there is no "
                f"folder for them: name one as `cache` of `ReaderChoice`."
            )
        digest = sha256(content).hexdigest()
        path = self.cache.absolute() / "images" / digest[:2] / f"{digest}{suffix}"
        if not path.is_file() or path.stat().st_size != len(content):
            write_atomically(path, content)
        return str(path)
