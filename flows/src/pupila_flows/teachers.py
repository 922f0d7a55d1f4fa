"""The teacher store: versions of teachers by name.

A recipe that names a teacher uses its current version, so a new version needs no edit of the
recipe. Every version has its own folder, `NAME/NUMBER`, which never changes. The file
`NAME/current` holds the number of the current version, and is replaced atomically.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from filelock import FileLock
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from pupila.artifact import TRAINING_IMAGES_NAME
from pupila.disk import sync
from pupila.errors import PupilaError, join_names, nearest
from pupila.names import name_fault
from pupila.pixel_scaling import Preprocess
from pupila.plugin import CLASSIFICATION
from pupila.spec import OutputSpec
from pupila.store import write_atomically

PREFIX = "teacher:"
"""Start of a `path` in a recipe that names a teacher in the store, as in `teacher:NAME`."""
_RECORD, _CURRENT, _MODEL, _DRAFT = "teacher.json", "current", "model", ".incoming-"


class TeacherRecord(BaseModel):
    """The record of one version of a teacher: where it came from, and what it outputs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    source: str = Field(description="Name of the file or folder that was given.")
    sha256: str = Field(description="Digest of its bytes; of a folder, of names and bytes.")
    added: str = Field(description="When it was added, UTC.")
    output: str = Field(description="Kind of its output, such as softmax.")
    classes: tuple[str, ...] = Field(description="Class of each output column.")
    task: str = Field(default=CLASSIFICATION, description="What it has learned.")
    size: tuple[int, ...] | None = Field(
        default=None, description="Shape of its raw output, if it is an artifact that has one."
    )
    preprocess: Preprocess = Field(
        default="none", description="Scaling of pixels outside the file, built in by its loader."
    )

    @classmethod
    def of(
        cls, source: str, sha256: str, added: str, spec: OutputSpec, preprocess: Preprocess
    ) -> TeacherRecord:
        """Return the record of a teacher with this output and scaling of pixels."""
        return cls(
            source=source,
            sha256=sha256,
            added=added,
            output=spec.kind,
            classes=spec.classes,
            task=spec.task,
            size=spec.size,
            preprocess=preprocess,
        )

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out defaults of a classifier, so that earlier releases read its record."""
        values: dict[str, Any] = handler(self)
        absent = {"task": CLASSIFICATION, "size": None, "preprocess": "none"}
        return {name: value for name, value in values.items() if value != absent.get(name, ...)}

    @property
    def spec(self) -> OutputSpec:
        return OutputSpec(task=self.task, kind=self.output, classes=self.classes, size=self.size)


@dataclass(frozen=True)
class StoredTeacher:
    """One version of a teacher in the store."""

    name: str
    version: int
    path: Path
    """Path of the model: a file, a SavedModel folder, or the folder of an artifact."""
    record: TeacherRecord

    @property
    def folder(self) -> Path:
        """Folder of this version, with its record and the list of its training images, if known."""
        return self.path.parent.parent

    @property
    def training_images(self) -> Path | None:
        """File that lists the images the teacher was trained on; None if they are not known."""
        file = self.folder / TRAINING_IMAGES_NAME
        return file if file.is_file() else None


class TeacherStore:
    """The teachers of a workspace; the folder `root` is created with the first teacher."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of(cls, workspace: Path) -> TeacherStore:
        """Return the teacher store of the workspace in this folder."""
        return cls(workspace / "teachers")

    def names(self) -> list[str]:
        """Names of all teachers that have a current version."""
        return sorted(file.parent.name for file in self.root.glob(f"*/{_CURRENT}"))

    def current(self, name: str) -> StoredTeacher:
        """Return the version of a teacher that runs use now.

        Raises:
            PupilaError: the teacher does not exist, or its record was lost or altered.
        """
        try:
            version = int((self.root / check_name(name) / _CURRENT).read_text())
        except FileNotFoundError:
            known = self.names()
            raise PupilaError(
                f"No teacher {name!r} in the store {str(self.root)!r}.{nearest(name, known)} "
                f"There: {join_names(known) or 'none'}. `pupila teacher add FILE --name {name}` "
                "puts it there."
            ) from None
        return self._read(name, version)

    def versions(self, name: str) -> list[StoredTeacher]:
        """Return all versions of a teacher, oldest first."""
        numbers = sorted(
            int(record.parent.name) for record in (self.root / name).glob(f"[0-9]*/{_RECORD}")
        )
        return [self._read(name, number) for number in numbers]

    def _read(self, name: str, version: int) -> StoredTeacher:
        folder = self.root / name / str(version)
        try:
            record = TeacherRecord.model_validate_json((folder / _RECORD).read_text())
        except (OSError, ValueError):
            raise PupilaError(
                f"{str(folder / _RECORD)!r} was lost or altered: add teacher {name!r} again."
            ) from None
        return StoredTeacher(name, version, folder / _MODEL / record.source, record)

    @contextmanager
    def locked(self, name: str) -> Generator[None]:
        """Keep other processes from adding versions of this teacher during the `with` block."""
        folder = self.root / check_name(name)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            for left in folder.glob(f"{_DRAFT}*"):  # by one that was killed
                _remove(left)
            yield

    @contextmanager
    def draft(self, name: str, source: Path) -> Generator[Path]:
        """Yield the path of a copy of `source`: the draft of a new version of the teacher `name`.

        The copy is removed after the `with` block, unless `seal` has turned it into a version.

        Raises:
            PupilaError: `source` cannot be copied.
        """
        folder = self.root / name / f"{_DRAFT}{uuid4().hex}"
        copy = folder / _MODEL / source.name
        try:
            copy.parent.mkdir(parents=True)
            if source.is_dir():
                shutil.copytree(source, copy, copy_function=shutil.copyfile)
            else:
                shutil.copyfile(source, copy)
            yield copy
        except OSError as error:
            raise PupilaError(
                f"{str(source)!r} could not be copied to {str(folder)!r}: {error.strerror}."
            ) from None
        finally:
            _remove(folder)

    def seal(self, name: str, copy: Path, record: TeacherRecord) -> StoredTeacher:
        """Turn a draft into the next version of a teacher, read-only and not yet current."""
        folder = copy.parent.parent
        (folder / _RECORD).write_text(record.model_dump_json(indent=2))
        for path in [*folder.rglob("*"), folder]:
            _make_read_only(path)
        taken = [teacher.version for teacher in self.versions(name)]
        version = max(taken, default=0) + 1
        folder.rename(self.root / name / str(version))
        return self._read(name, version)

    def make_current(self, teacher: StoredTeacher) -> None:
        """Make a version current, so that all runs that start from now on use it."""
        write_atomically(self.root / teacher.name / _CURRENT, f"{teacher.version}\n".encode())


def check_name(name: str) -> str:
    """Check a teacher's name and return it.

    Raises:
        PupilaError: the name is invalid.
    """
    if fault := name_fault(name):
        raise PupilaError(f"{name!r} cannot be a teacher's name: it {fault}.")
    return name


def _make_read_only(path: Path) -> None:
    """Sync a file or folder to disk, and make a file read-only."""
    if path.is_file():
        path.chmod(0o444)
    sync(path)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
