"""Files below one root, here or on any file system of fsspec: each is there as a whole, or not."""

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
    is_url,
    without_password,
    without_passwords_of,
)

_BLOCK_BYTES = 1 << 20
_ABANDONED_SECONDS = 7 * 24 * 3600
_PARTIAL = ".partial-"
"""First part of the name of a file that is being written, as in `write_atomically`."""


class Storage(ABC):
    """Files by name, `/` between its parts; what fails is told as a `PupilaError`."""

    url: str

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Return a file's content, or None where there is none of that name."""

    @abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Write a file that is not there yet; False where it is: of two writers, one wins.

        Each writer's content must be its own: one that finds it there takes it for written.
        """

    @abstractmethod
    def replace(self, name: str, content: bytes) -> None:
        """Write a file; a reader sees the old content or the new."""

    @abstractmethod
    def children(self, folder: str) -> list[str]:
        """Return the names of what lies in a folder, sorted; none where there is no folder."""

    @abstractmethod
    def files(self, folder: str) -> dict[str, int]:
        """Return the bytes of every file below a folder by its name relative to that."""

    def irregular(self, folder: str) -> dict[str, str]:
        """Return what below a folder is neither file nor folder, by name: links, FIFOs, devices.

        Nothing of that kind is ever opened or followed. Object stores have none.
        """
        del folder
        return {}

    @abstractmethod
    def draft(self, folder: str) -> AbstractContextManager[Path]:
        """Yield an empty local folder, from which `place` takes; it is removed afterwards."""

    @abstractmethod
    def place(self, draft: Path, folder: str, last: str) -> None:
        """Move a draft to a folder that is not there yet; the file `last` appears last."""

    def download(self, folder: str, target: Path) -> None:
        """Copy every file below a folder into a local one."""
        names = list(self.files(folder))
        for name in names:
            _demand_inside(name, f"{self.url}/{folder}")
        for name in names:
            copy = target / name
            with self._told():
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
                        f"{self.url}/{folder}/{name} was there and is gone: repeat the command, "
                        f"or restore it."
                    ) from None

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file, which is never in memory as a whole."""
        state = hashlib.sha256()
        with self._told(), self._open(name) as source:
            while block := source.read(_BLOCK_BYTES):
                state.update(block)
        return state.hexdigest()

    @abstractmethod
    def _open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""

    @abstractmethod
    def _told(self) -> AbstractContextManager[None]:
        """Tell what this kind of storage refuses as a user's error."""


def open_storage(address: str) -> Storage:
    """Return the files below a folder or a URL; nothing is made there.

    Raises:
        PupilaError: no installed package opens such a URL.
    """
    check_address(address)
    if not is_url(address):
        return LocalStorage(Path(address))
    filesystem, root = _opened(address)
    if "file" in filesystem.protocol:  # a name, or several
        return LocalStorage(Path(root))
    return RemoteStorage(address.rstrip("/"), filesystem, root.rstrip("/"))


def _opened(address: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path there."""
    from fsspec.core import url_to_fs  # pyright: ignore - fsspec has no types

    with _told(address, Exception):
        filesystem, root = url_to_fs(address)  # pyright: ignore - see above
        return filesystem, str(root)  # pyright: ignore - see above


@contextmanager
def _told(url: str, errors: type[Exception] = OSError) -> Generator[None]:
    """Tell what a file system refuses as a user's error that names the place, and no password."""
    try:
        yield
    except PupilaError:
        raise
    except errors as error:
        told = (error.strerror if isinstance(error, OSError) else None) or str(error)
        reason = without_passwords_of(url, told) or type(error).__name__
        raise PupilaError(
            f"The registry {without_password(url)!r} could not be read or written: {reason}. "
            f"Nothing half-written is visible there; mend that and repeat the command."
        ) from None


class LocalStorage(Storage):
    """Files in a folder: on disk before they are seen, and seen by rename or link."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.url = str(self._root)

    def _told(self) -> AbstractContextManager[None]:
        return _told(self.url)

    def _open(self, name: str) -> IO[bytes]:
        path = self.path(name)
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise self._not_followed(path)
        return os.fdopen(handle, "rb")

    def path(self, name: str) -> Path:
        """Return where a file or folder lies, which no link leads to.

        Raises:
            PupilaError: it is, or lies behind, a link or another thing that is no file.
        """
        _demand_inside(name, self.url)
        path = self._root
        for part in PurePosixPath(name).parts:
            path /= part
            with self._told(), suppress(FileNotFoundError, NotADirectoryError):
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
        with self._told():
            try:
                with self._open(name) as stream:
                    return stream.read()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def create(self, name: str, content: bytes) -> bool:
        path = self.path(name)
        unfinished = path.with_name(f"{_PARTIAL}{uuid4().hex}")
        with self._told():
            try:
                write_atomically(unfinished, content)
                os.link(unfinished, path)  # unlike a rename, it fails where there is one already
            except FileExistsError:
                return False
            finally:
                unfinished.unlink(missing_ok=True)
            sync(path.parent)
        return True

    def replace(self, name: str, content: bytes) -> None:
        with self._told():
            write_atomically(self.path(name), content)

    def children(self, folder: str) -> list[str]:
        with self._told():
            try:
                found = [path.name for path in self.path(folder).iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(name for name in found if not name.startswith(_PARTIAL))

    def files(self, folder: str) -> dict[str, int]:
        return {
            name: status.st_size
            for name, status in self._below(folder)
            if stat.S_ISREG(status.st_mode)
        }

    def irregular(self, folder: str) -> dict[str, str]:
        found = ((name, _kind(status.st_mode)) for name, status in self._below(folder))
        return {name: kind for name, kind in found if kind}

    def _below(self, folder: str) -> list[tuple[str, os.stat_result]]:
        """Return whatever lies below a folder, sorted; links are not followed."""
        root = self.path(folder)
        found: list[tuple[str, os.stat_result]] = []
        with self._told():
            for path in sorted(root.rglob("*")):  # it does not descend into links
                with suppress(FileNotFoundError):  # another publisher's draft
                    found.append((path.relative_to(root).as_posix(), path.lstat()))
        return found

    @contextmanager
    def draft(self, folder: str) -> Generator[Path]:
        drafts = self.path(folder)
        draft = drafts / uuid4().hex
        with self._told():
            draft.mkdir(parents=True)
            _sweep(drafts)
        try:
            with self._told():
                yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def place(self, draft: Path, folder: str, last: str) -> None:
        del last  # all of it appears at once
        target = self.path(folder)
        with self._told():
            target.parent.mkdir(parents=True, exist_ok=True)
            for path in [*draft.rglob("*"), draft]:
                sync(path)
            draft.rename(target)
            for above in target.parents[: len(Path(folder).parts)]:
                sync(above)


class RemoteStorage(Storage):
    """Files of an fsspec file system: object stores show a file as a whole, once it is written."""

    def __init__(self, url: str, filesystem: Any, root: str) -> None:
        self.url = without_password(url)
        self._address = url
        self._filesystem = filesystem
        self._root = root

    def _told(self) -> AbstractContextManager[None]:
        # each file system has errors of its own: no credentials, no network
        return _told(self._address, Exception)

    def _open(self, name: str) -> IO[bytes]:
        return self._filesystem.open(self._path(name), "rb")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def read(self, name: str) -> bytes | None:
        with self._told():
            try:
                return self._filesystem.cat_file(self._path(name))
            except FileNotFoundError:
                return None

    def create(self, name: str, content: bytes) -> bool:
        try:
            with self._told():
                self._filesystem.pipe_file(self._path(name), content, mode="create")
        except PupilaError:
            # servers tell it in various ways, and a try whose answer was lost is made again
            there = self.read(name)
            if there is None:
                raise
            return there == content
        return True

    def replace(self, name: str, content: bytes) -> None:
        with self._told():
            self._filesystem.pipe_file(self._path(name), content)

    def children(self, folder: str) -> list[str]:
        with self._told():
            self._filesystem.invalidate_cache()  # others write there too
            try:
                found: list[str] = self._filesystem.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                return []
        names = {path.rstrip("/").rpartition("/")[2] for path in found}
        return sorted(names - {"", folder.rpartition("/")[2]})

    def files(self, folder: str) -> dict[str, int]:
        with self._told():
            self._filesystem.invalidate_cache()
            found: dict[str, dict[str, Any]] = self._filesystem.find(
                self._path(folder), detail=True
            )
        start = f"{self._path(folder).lstrip('/')}/"
        return {
            path.lstrip("/").removeprefix(start): int(info["size"])
            for path, info in sorted(found.items())
        }

    @contextmanager
    def draft(self, folder: str) -> Generator[Path]:
        del folder
        with tempfile.TemporaryDirectory(prefix="pupila-") as draft, _told(self._address):
            yield Path(draft)

    def place(self, draft: Path, folder: str, last: str) -> None:
        names = [path.relative_to(draft).as_posix() for path in draft.rglob("*") if path.is_file()]
        with self._told():
            for name in sorted(names, key=lambda name: (name == last, name)):
                self._filesystem.put_file(str(draft / name), self._path(f"{folder}/{name}"))


def _demand_inside(name: str, url: str) -> None:
    """Refuse a name that leads out of the folder it belongs to."""
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise PupilaError(
            f"{url} has a file named {name!r}, which leads out of its folder: it was altered."
        )


def _kind(mode: int) -> str | None:
    """Return what is neither a file nor a folder; None of those."""
    kinds = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    return kinds.get(stat.S_IFMT(mode), "a device")


def _sweep(drafts: Path) -> None:
    """Remove what killed publishers left: drafts that nobody touched for a week."""
    for draft in drafts.iterdir():
        with suppress(FileNotFoundError):  # placed or removed by its owner meanwhile
            if time.time() - draft.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(draft, ignore_errors=True)
