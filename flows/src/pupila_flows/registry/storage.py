"""Stores files below a root folder, local or on an fsspec file system; each write is atomic."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any
from uuid import uuid4

from pupila.disk import sync
from pupila.errors import PupilaError
from pupila.store import write_atomically
from pupila_flows.registry.addresses import (
    check_address,
    hide_passwords_in,
    is_url,
    without_password,
)

_BLOCK_BYTES = 1 << 20
_ABANDONED_SECONDS = 7 * 24 * 3600
_PARTIAL = ".partial-"
"""Name prefix of files that are still being written, as in `write_atomically`."""


class Storage(ABC):
    """Files below a root folder, with names such as `a/b`; raises errors as `PupilaError`."""

    url: str

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Return a file's content; None if it does not exist."""

    @abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Write a new file and return True; return False if the file exists.

        If two writers create the same file, one of them wins. Each writer's content must be unique:
        a writer that reads back its own content has won.
        """

    @abstractmethod
    def replace(self, name: str, content: bytes) -> None:
        """Write a file, or replace it atomically: readers see either the old or the new content."""

    @abstractmethod
    def children(self, folder: str) -> list[str]:
        """Return the sorted names of files and folders in a folder; empty if it does not exist."""

    @abstractmethod
    def files(self, folder: str) -> dict[str, int]:
        """Return the size in bytes of every file below a folder, by its path from that folder."""

    def irregular(self, folder: str) -> dict[str, str]:
        """Return the kind of every irregular entry below a folder, by its path from that folder.

        Irregular entries, such as links, FIFOs and devices, are neither files nor folders. They are
        never opened. Object stores have none.
        """
        del folder
        return {}

    @abstractmethod
    def draft(self, folder: str) -> AbstractContextManager[Path]:
        """Yield an empty local folder for `publish`, and remove it after the `with` block."""

    @abstractmethod
    def publish(self, draft: Path, folder: str, last: str) -> None:
        """Move a draft to a new folder, in which the file `last` appears after all others."""

    def download(self, folder: str, target: Path) -> None:
        """Copy every file below a folder into a local folder."""
        names = list(self.files(folder))
        for name in names:
            _demand_inside(name, f"{self.url}/{folder}")
        for name in names:
            copy = target / name
            with self._user_errors():
                try:
                    copy.parent.mkdir(parents=True, exist_ok=True)
                except (FileExistsError, NotADirectoryError):
                    raise PupilaError(
                        f"{self.url}/{folder} was altered: one of its files has the name of a "
                        f"folder that {name!r} is in."
                    ) from None
                try:
                    with self._open(f"{folder}/{name}") as source, copy.open("wb") as written:
                        shutil.copyfileobj(source, written)
                except FileNotFoundError:
                    raise PupilaError(
                        f"{self.url}/{folder}/{name} disappeared: repeat the command, or "
                        f"restore it."
                    ) from None

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file, read in blocks."""
        state = hashlib.sha256()
        with self._user_errors(), self._open(name) as source:
            while block := source.read(_BLOCK_BYTES):
                state.update(block)
        return state.hexdigest()

    @abstractmethod
    def _open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""

    @abstractmethod
    def _user_errors(self) -> AbstractContextManager[None]:
        """Convert errors of this storage into `PupilaError`."""


def open_storage(address: str) -> Storage:
    """Return the storage at a folder or a URL, without creating anything there.

    Raises:
        PupilaError: no installed package can open this URL.
    """
    check_address(address)
    if not is_url(address):
        return LocalStorage(Path(address))
    filesystem, root = _open_filesystem(address)
    if "file" in filesystem.protocol:  # a name, or several
        return LocalStorage(Path(root))
    return RemoteStorage(address.rstrip("/"), filesystem, root.rstrip("/"))


def _open_filesystem(address: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    from fsspec.core import url_to_fs  # pyright: ignore - fsspec has no types

    with _user_errors(address, Exception):
        filesystem, root = url_to_fs(address)  # pyright: ignore - see above
        return filesystem, str(root)  # pyright: ignore - see above


@contextmanager
def _user_errors(url: str, errors: type[Exception] = OSError) -> Generator[None]:
    """Convert errors of a file system into a `PupilaError` that names the URL without passwords."""
    try:
        yield
    except PupilaError:
        raise
    except errors as error:
        message = (error.strerror if isinstance(error, OSError) else None) or str(error)
        reason = hide_passwords_in(url, message) or type(error).__name__
        raise PupilaError(
            f"The registry {without_password(url)!r} could not be read or written: {reason}. "
            f"No partly written file is visible there; fix that and repeat the command."
        ) from None


class LocalStorage(Storage):
    """Files in a local folder. A new file is synced to disk, then shown by a rename or a link."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.url = str(self._root)

    def _user_errors(self) -> AbstractContextManager[None]:
        return _user_errors(self.url)

    def _open(self, name: str) -> IO[bytes]:
        path = self.path(name)
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise self._not_followed(path)
        return os.fdopen(handle, "rb")

    def path(self, name: str) -> Path:
        """Return the path of a file or folder after checking that no part of it is a link.

        Raises:
            PupilaError: the file, or a folder above it, is a link, a device or the like.
        """
        _demand_inside(name, self.url)
        path = self._root
        for part in PurePosixPath(name).parts:
            path /= part
            with self._user_errors(), suppress(FileNotFoundError, NotADirectoryError):
                if _kind(path.lstat().st_mode):
                    raise self._not_followed(path)
        return path

    def _not_followed(self, path: Path) -> PupilaError:
        kind = _kind(path.lstat().st_mode) or "a folder"
        return PupilaError(
            f"{path} is {kind}, where a registry has files and folders only: it was not opened. "
            f"Restore what was published there, or remove it."
        )

    def read(self, name: str) -> bytes | None:
        with self._user_errors():
            try:
                with self._open(name) as stream:
                    return stream.read()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def create(self, name: str, content: bytes) -> bool:
        path = self.path(name)
        unfinished = path.with_name(f"{_PARTIAL}{uuid4().hex}")
        with self._user_errors():
            try:
                write_atomically(unfinished, content)
                os.link(unfinished, path)  # unlike a rename, it fails if the file exists
            except FileExistsError:
                return False
            finally:
                unfinished.unlink(missing_ok=True)
            sync(path.parent)
        return True

    def replace(self, name: str, content: bytes) -> None:
        with self._user_errors():
            write_atomically(self.path(name), content)

    def children(self, folder: str) -> list[str]:
        with self._user_errors():
            try:
                names = [path.name for path in self.path(folder).iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(name for name in names if not name.startswith(_PARTIAL))

    def files(self, folder: str) -> dict[str, int]:
        return {
            name: status.st_size
            for name, status in self._below(folder)
            if stat.S_ISREG(status.st_mode)
        }

    def irregular(self, folder: str) -> dict[str, str]:
        kinds = ((name, _kind(status.st_mode)) for name, status in self._below(folder))
        return {name: kind for name, kind in kinds if kind}

    def _below(self, folder: str) -> list[tuple[str, os.stat_result]]:
        """Return name and status of everything below a folder, sorted; links are not followed."""
        root = self.path(folder)
        entries: list[tuple[str, os.stat_result]] = []
        with self._user_errors():
            for path in sorted(root.rglob("*")):  # it does not descend into links
                with suppress(FileNotFoundError):  # another publisher's draft
                    entries.append((path.relative_to(root).as_posix(), path.lstat()))
        return entries

    @contextmanager
    def draft(self, folder: str) -> Generator[Path]:
        drafts = self.path(folder)
        draft = drafts / uuid4().hex
        with self._user_errors():
            draft.mkdir(parents=True)
            _remove_abandoned(drafts)
        try:
            with self._user_errors():
                yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def publish(self, draft: Path, folder: str, last: str) -> None:
        del last  # the whole folder appears at once
        target = self.path(folder)
        with self._user_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            for path in [*draft.rglob("*"), draft]:
                sync(path)
            draft.rename(target)
            for above in target.parents[: len(Path(folder).parts)]:
                sync(above)


class RemoteStorage(Storage):
    """Files of an fsspec file system. Object stores show a file only once it is complete."""

    def __init__(self, url: str, filesystem: Any, root: str) -> None:
        self.url = without_password(url)
        self._address = url
        self._filesystem = filesystem
        self._root = root

    def _user_errors(self) -> AbstractContextManager[None]:
        # each file system has its own errors: no credentials, no network
        return _user_errors(self._address, Exception)

    def _open(self, name: str) -> IO[bytes]:
        return self._filesystem.open(self._path(name), "rb")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def read(self, name: str) -> bytes | None:
        with self._user_errors():
            try:
                return self._filesystem.cat_file(self._path(name))
            except FileNotFoundError:
                return None

    def create(self, name: str, content: bytes) -> bool:
        try:
            with self._user_errors():
                self._filesystem.pipe_file(self._path(name), content, mode="create")
        except PupilaError:
            # servers report it in various ways, and a request without a response is repeated
            existing = self.read(name)
            if existing is None:
                raise
            return existing == content
        return True

    def replace(self, name: str, content: bytes) -> None:
        with self._user_errors():
            self._filesystem.pipe_file(self._path(name), content)

    def children(self, folder: str) -> list[str]:
        with self._user_errors():
            self._filesystem.invalidate_cache()  # others write there too
            try:
                paths: list[str] = self._filesystem.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                return []
        names = {path.rstrip("/").rpartition("/")[2] for path in paths}
        return sorted(names - {"", folder.rpartition("/")[2]})

    def files(self, folder: str) -> dict[str, int]:
        with self._user_errors():
            self._filesystem.invalidate_cache()
            details: dict[str, dict[str, Any]] = self._filesystem.find(
                self._path(folder), detail=True
            )
        start = f"{self._path(folder).lstrip('/')}/"
        return {
            path.lstrip("/").removeprefix(start): int(info["size"])
            for path, info in sorted(details.items())
        }

    @contextmanager
    def draft(self, folder: str) -> Generator[Path]:
        del folder
        with tempfile.TemporaryDirectory(prefix="pupila-") as draft, _user_errors(self._address):
            yield Path(draft)

    def publish(self, draft: Path, folder: str, last: str) -> None:
        names = [path.relative_to(draft).as_posix() for path in draft.rglob("*") if path.is_file()]
        with self._user_errors():
            for name in sorted(names, key=lambda name: (name == last, name)):
                self._filesystem.put_file(str(draft / name), self._path(f"{folder}/{name}"))


def _demand_inside(name: str, url: str) -> None:
    """Refuse a name that leads out of its folder."""
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise PupilaError(
            f"{url} has a file named {name!r}, which leads out of its folder: it was altered."
        )


def _kind(mode: int) -> str | None:
    """Return what an entry is, such as a link; None if it is a regular file or a folder."""
    kinds = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    return kinds.get(stat.S_IFMT(mode), "a device")


def _remove_abandoned(drafts: Path) -> None:
    """Remove drafts that were unchanged for a week: their publishers were killed."""
    for draft in drafts.iterdir():
        with suppress(FileNotFoundError):  # published or removed by its owner in the meantime
            if time.time() - draft.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(draft, ignore_errors=True)
