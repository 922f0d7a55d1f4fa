"""The content-addressed store: artifacts by digest, and a ledger of finished jobs.

Everything is written under a temporary name and then renamed, so a reader sees a complete artifact
or none, even if a writer dies.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from pupila.artifact import RECORD_NAME, RESERVED_NAMES, TIMINGS_NAME, Artifact, Origin, Record
from pupila.damage import put_aside, read_json
from pupila.digest import digest_file, digest_json
from pupila.disk import sync
from pupila.errors import PupilaError
from pupila.measured import Timings
from pupila.paths import read_plain
from pupila.plain import misfits, unwritable

_ABANDONED_SECONDS = 7 * 24 * 3600
_DIGEST_DIGITS = 64
_SHARED_BYTES = 64 * 1024
"""Smallest size of files that artifacts share by hard links."""
_TIMINGS = TypeAdapter(Timings)


class Store:
    """A folder with artifacts and the ledger, which has the results of jobs.

    Artifacts are in `root/objects/<digest>`, results in `root/ledger/<key>.json`. A large file that
    several artifacts contain, such as the runtime of a web site, is stored once: each artifact has
    a hard link to `root/files/<sha256>`. Folders are created by the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._objects = root / "objects"
        self._ledger = root / "ledger"
        self._incoming = root / "incoming"
        self._files = root / "files"

    @contextmanager
    def draft(self) -> Generator[Path]:
        """Yield an empty folder on the store's disk, in which an artifact can be made.

        At the end of the `with` block the folder is removed, unless `add` has stored it.
        """
        folder = self._incoming / uuid4().hex
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def collect_garbage(self) -> None:
        """Remove drafts that killed processes left behind: all drafts unchanged for a week."""
        for draft in self._incoming.glob("*"):
            with suppress(FileNotFoundError):  # meanwhile stored or removed by its owner
                if time.time() - draft.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(draft, ignore_errors=True)

    def add(self, folder: Path, **fields: Any) -> Artifact:
        """Store a draft of this store as an artifact.

        `folder` is the draft, with the model's files. `fields` are the fields of the artifact's
        `Record`, without `files`.

        Raises:
            PupilaError: the folder has no file, or a file with a reserved name, or a field does not
                fit a `Record`.
        """
        files = {
            file.relative_to(folder).as_posix(): digest_file(file)
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }
        if not files:
            raise PupilaError(f"{fields.get('origin')!r} wrote no model file: nothing to store.")
        own = next((name for name in RESERVED_NAMES if name in files), None)
        if own:
            raise PupilaError(
                f"{fields.get('origin')!r} wrote a file {own!r}, which is the name of one of the "
                f"store's own: the plugin must give that file another name."
            )
        made = _record(files, fields)
        text = made.model_dump_json(indent=2)
        record = Record.model_validate_json(text)  # as every later reader will see it
        (folder / RECORD_NAME).write_text(text)
        if made.measured.timings:
            (folder / TIMINGS_NAME).write_text(json.dumps(made.measured.timings, indent=2))
        digest = digest_of(record)
        path = self._move_in(folder, digest)
        return Artifact(path, digest, _with_timings(record, path))

    def adopt(self, folder: Path) -> Artifact:
        """Copy an artifact into this store, and return it.

        `folder` is the artifact's folder in another store or in a published version.

        Raises:
            PupilaError: the folder does not contain a complete, unaltered artifact.
        """
        source = read_artifact(folder)
        with self.draft() as draft:
            for name in source.contents:
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, draft / name)
            self._move_in(draft, source.digest)
        return self.open(source.digest)

    def _move_in(self, folder: Path, digest: str) -> Path:
        """Move a draft to the folder of the artifact with that digest, and return the folder."""
        target = self._objects / digest
        if target.exists() and not self._is_whole(digest):
            target.rename(self._incoming / uuid4().hex)  # collected later
        if not target.exists():
            self._objects.mkdir(parents=True, exist_ok=True)
            self._share(folder)
            _sync_tree(folder)
            try:
                folder.rename(target)
            except OSError:  # another process stored the very same artifact first
                if not target.exists():
                    raise
            sync(self._objects)
        elif (folder / TIMINGS_NAME).is_file() and not (target / TIMINGS_NAME).exists():
            (folder / TIMINGS_NAME).rename(target / TIMINGS_NAME)  # the earlier ones were damaged
        return target

    def _share(self, folder: Path) -> None:
        """Replace the large files of a draft by hard links to equal files of other artifacts.

        Files that cannot be linked stay copies: a disk may not support hard links, or limit them.
        """
        for file in folder.rglob("*"):
            if file.is_symlink() or not file.is_file() or file.stat().st_size < _SHARED_BYTES:
                continue
            sha256 = digest_file(file)
            shared = self._files / sha256
            with suppress(OSError):
                if shared.is_file() and digest_file(shared) != sha256:
                    shared.unlink()  # damaged: artifacts that link to it are made again
                if shared.is_file() and not shared.samefile(file):
                    link = file.with_name(f".link-{uuid4().hex}")
                    os.link(shared, link)
                    link.replace(file)
                elif not shared.exists():
                    self._files.mkdir(exist_ok=True)
                    os.link(file, shared)

    @property
    def is_used(self) -> bool:
        """Whether any result was ever noted in this store."""
        return self._ledger.is_dir()

    def artifacts(self) -> list[Path]:
        """Return the folders of all artifacts."""
        return sorted(self._objects.glob("*"))

    def notes(self) -> list[Path]:
        """Return the files of the ledger, each named after its key."""
        return sorted(filter(_is_note, self._ledger.glob("*")))

    def shared(self) -> list[Path]:
        """Return the large files that artifacts share by hard links."""
        return sorted(self._files.glob("*"))

    def leftovers(self) -> list[Path]:
        """Return files and folders left by killed writers or put aside as damaged."""
        aside = (file for file in self._ledger.glob("*") if not _is_note(file))
        return sorted([*self._incoming.glob("*"), *aside, *self._objects.glob("*/*.damaged-*")])

    def discard(self, artifact: Path) -> None:
        """Remove an artifact's folder; readers see it complete or not at all."""
        self._incoming.mkdir(exist_ok=True)
        discarded = self._incoming / uuid4().hex
        artifact.rename(discarded)
        shutil.rmtree(discarded, ignore_errors=True)

    def path_of(self, digest: str) -> Path:
        """Return the folder of the artifact with that digest, whether it exists or not."""
        return self._objects / digest

    def open(self, digest: str) -> Artifact:
        """Return a stored artifact after checking every byte of it.

        Raises:
            PupilaError: the artifact is not in the store, or was altered on disk.
        """
        path = self.path_of(digest)
        if not is_artifact(path):
            raise PupilaError(f"No artifact {digest!r} in {self.root}.")
        artifact = _read_checked(path, digest, "run again to have it remade")
        timings = path / TIMINGS_NAME
        if timings.is_file() and _read_timings(path) is None:
            put_aside(timings, "the times that were measured are left out")
        return artifact

    def _is_whole(self, digest: str) -> bool:
        try:
            self.open(digest)
        except PupilaError:
            return False
        return True

    def recall(self, key: str) -> dict[str, Any] | None:
        """Return the value noted under `key` in the ledger; None if no value can be read.

        A value in a damaged file counts as missing. The file's modification time is set to now, so
        that it shows when the value was last used.
        """
        file = self._ledger / f"{key}.json"
        with suppress(OSError):
            os.utime(file)
        return read_json(file)

    def note(self, key: str, value: dict[str, Any]) -> None:
        """Note a JSON value under `key` in the ledger, replacing an earlier value."""
        write_atomically(self._ledger / f"{key}.json", json.dumps(value).encode())


def _record(files: dict[str, str], fields: dict[str, Any]) -> Record:
    """Return the record of a plugin's output, or raise a `PupilaError` that names the plugin."""
    origin: Origin | None = fields.get("origin")
    who = f"{origin.plugin} of {origin.distribution}" if origin else "A plugin"
    try:
        made = Record(files=files, **fields)
    except ValidationError as error:
        raise PupilaError(
            f"{who} returned a wrong StepResult: {misfits(error)}. Correct it."
        ) from None
    wrong = unwritable(made.measured)
    if wrong:
        raise PupilaError(
            f"{who} measured what cannot be stored: {wrong}. Correct `measured` of its StepResult."
        )
    return made


def _is_note(file: Path) -> bool:
    return file.suffix == ".json" and not file.name.startswith(".")


def is_artifact(folder: Path) -> bool:
    """Tell whether a folder contains the record of an artifact; its files are not checked."""
    return (folder / RECORD_NAME).is_file()


def read_artifact(folder: Path) -> Artifact:
    """Return the artifact in a folder, after checking every byte of the artifact.

    The folder may be in any store, or in a published version. If the folder's name is a digest, as
    in a store, the record is checked against this digest too.

    Raises:
        PupilaError: the artifact was altered, or this version of Pupila cannot read it.
    """
    name = folder.resolve().name
    named = len(name) == _DIGEST_DIGITS and set(name) <= set("0123456789abcdef")
    return _read_checked(folder, name if named else None, "copy the artifact again")


def _read_checked(folder: Path, digest: str | None, advice: str) -> Artifact:
    """Return the artifact in a folder after checking its files and, if given, its digest."""
    file = folder / RECORD_NAME
    try:
        record = Record.model_validate_json(read_plain(file))
    except (ValueError, OSError):
        raise PupilaError(f"{file} was altered: it is not a record; {advice}.") from None
    if digest not in (None, digest_of(record)):
        raise PupilaError(
            f"{file} was altered, or written by a version that named artifacts otherwise: its "
            f"digest is not its name; {advice}."
        )
    for name, expected in record.files.items():
        if not _is_unaltered(folder, name, expected):
            raise PupilaError(f"{folder / name} was altered or lost: {advice}.")
    return Artifact(folder, digest_of(record), _with_timings(record, folder))


def _is_unaltered(folder: Path, name: str, expected: str) -> bool:
    file = folder / name
    try:
        return _lies_below(name) and file.is_file() and digest_file(file) == expected
    except OSError:  # for example, its name is too long for a file
        return False


def _with_timings(record: Record, folder: Path) -> Record:
    """Return the record with the measured times added, if their file exists and can be read."""
    timings = _read_timings(folder)
    return record.model_copy(update={"measured": record.measured.with_timings(timings or {})})


def _read_timings(folder: Path) -> Timings | None:
    try:
        return _TIMINGS.validate_json(read_plain(folder / TIMINGS_NAME))
    except (OSError, ValueError):
        return None


def _lies_below(name: str) -> bool:
    """Tell whether a file's name stays inside its folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def digest_of(record: Record) -> str:
    """Return the digest of an artifact's record; it is the name of the artifact's folder.

    Fields at their defaults do not count, so that new fields of later versions do not change
    digests. Measured times do not count either.
    """
    fields = record.model_dump(mode="json", exclude_defaults=True)
    if not fields.get("measured"):
        fields.pop("measured", None)
    return digest_json(fields)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers see either the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".partial-{uuid4().hex}")
    try:
        with unfinished.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _sync_tree(folder: Path) -> None:
    """Make sure that a folder and everything in it survives a power cut."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)
