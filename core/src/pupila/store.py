"""The content-addressed store: artifacts by digest, and a ledger of what was already made.

Everything appears by rename, so a reader sees a whole artifact or none, whenever a writer dies.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pupila.artifact import RECORD_NAME, Artifact, Record
from pupila.digest import digest_file, digest_json
from pupila.errors import PupilaError


class Store:
    """Artifacts under `root/objects/<digest>`, results under `root/ledger/<key>.json`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._objects = root / "objects"
        self._ledger = root / "ledger"
        self._incoming = root / "incoming"
        for folder in (self._objects, self._ledger, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def draft(self) -> Generator[Path]:
        """Yield an empty folder on the store's own disk, removed afterwards if still there."""
        folder = Path(tempfile.mkdtemp(dir=self._incoming))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(self, folder: Path, **fields: Any) -> Artifact:
        """Seal `folder`, a draft of this store, as an artifact; `fields` complete its `Record`.

        Raises:
            PupilaError: the folder holds no file.
        """
        files = {
            file.relative_to(folder).as_posix(): digest_file(file)
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }
        if not files:
            raise PupilaError(f"{fields.get('origin')!r} wrote no model file: nothing to store.")
        record = Record(files=files, **fields)
        digest = digest_json(record.model_dump(mode="json"))
        target = self._objects / digest
        if not target.exists():
            (folder / RECORD_NAME).write_text(record.model_dump_json(indent=2))
            _sync(folder)
            try:
                folder.rename(target)
            except OSError:  # another process stored the very same artifact first
                if not target.exists():
                    raise
            _sync_folder(self._objects)
        return Artifact(target, digest, record)

    def open(self, digest: str) -> Artifact:
        """Return a stored artifact after checking every byte of it.

        Raises:
            PupilaError: there is none of that digest, or it was altered on disk.
        """
        path = self._objects / digest
        try:
            record = Record.model_validate_json((path / RECORD_NAME).read_text())
        except FileNotFoundError:
            raise PupilaError(f"No artifact {digest!r} in {self.root}.") from None
        if digest_json(record.model_dump(mode="json")) != digest:
            raise PupilaError(f"{path / RECORD_NAME} was altered: its digest is not its name.")
        for name, expected in record.files.items():
            file = path / name
            if not file.exists() or digest_file(file) != expected:
                raise PupilaError(f"{file} was altered or lost: delete {path} to have it remade.")
        return Artifact(path, digest, record)

    def recall(self, key: str) -> dict[str, Any] | None:
        """Return what was noted under `key`, or None."""
        try:
            return json.loads((self._ledger / f"{key}.json").read_text())
        except FileNotFoundError:
            return None

    def note(self, key: str, value: dict[str, Any]) -> None:
        """Note a JSON value under `key`, replacing what was there."""
        write_atomically(self._ledger / f"{key}.json", json.dumps(value).encode())


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
