"""Readable errors for a disk that is full, is read-only or limits file sizes."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from pupila.errors import PluginFailed, PupilaError

_MB = 1_000_000
_FULL_BYTES = 10 * _MB
"""If less than this is free, a failure is attributed to a full disk."""
_PROBE_BYTES = 4096
_REASONS = {
    errno.ENOSPC: "is full",
    errno.EDQUOT: "has no space left for you: your quota is used up",
    errno.EROFS: "is read-only",
    errno.EACCES: "is not writable for you",
    errno.EPERM: "is not writable for you",
    errno.EFBIG: "accepts no file of that size: it has a limit, or `ulimit -f` is set",
}
_AGAIN = "and run again: what is finished is kept"
_ADVICE = {
    errno.ENOSPC: f"free 100 MB or more {_AGAIN}",
    errno.EDQUOT: f"free 100 MB or more {_AGAIN}",
    errno.EFBIG: f"raise it {_AGAIN}",
}
_TEXTS = {
    **{os.strerror(number): number for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)},
    os.strerror(errno.EFBIG): errno.EFBIG,
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EROFS,
}
"""Error number by message text, for libraries whose errors carry none: HDF5, TensorFlow, SQLite."""


def check_room(folder: Path, needed_bytes: int) -> None:
    """Make sure that `needed_bytes` can be written to a folder.

    Raises:
        PupilaError: the folder is not writable, its disk has too little free space, or files may
            not be that large.
    """
    probe = folder / f".probe-{uuid4().hex}"
    try:
        probe.write_bytes(bytes(_PROBE_BYTES))
    except OSError as error:
        if error.errno not in _REASONS:
            raise
        raise PupilaError(_sentence(error.errno, folder)) from None
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise PupilaError(
            f"{_describe(folder)} has {free / _MB:.0f} MB left, and {needed_bytes / _MB:.0f} MB "
            "are needed: free some, or name a folder on another disk with --workspace."
        )
    largest = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if largest != resource.RLIM_INFINITY and largest < needed_bytes:
        raise PupilaError(
            f"Files may have {largest / _MB:.0f} MB at most here (`ulimit -f`), and "
            f"{needed_bytes / _MB:.0f} MB are needed: raise the limit with `ulimit -f unlimited`."
        )


def sync(path: Path) -> None:
    """Make sure that a written file, or the entries of a folder, survive a power cut (fsync)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def explain_disk_errors(folder: Path) -> Generator[None]:
    """Turn disk errors in the `with` block into a readable `PupilaError`.

    The message names the disk of the file in the error or, if the error names no file, the disk of
    `folder`.

    Raises:
        PupilaError: the disk caused the error. Other errors are raised unchanged.
    """
    try:
        yield
    except PupilaError:
        raise
    except Exception as error:
        sentence = explain_disk_error(error, folder)
        if sentence is None:
            raise
        raise PupilaError(sentence) from error


def explain_disk_error(error: BaseException, folder: Path) -> str | None:
    """Return what is wrong with the disk and what to do; None if the disk is not the cause.

    `folder` is the folder to name if the error names no file.
    """
    while isinstance(error, PluginFailed) and error.__cause__:
        error = error.__cause__
    number = _number(error)
    if number is None and _is_full(folder):
        number = errno.ENOSPC
    if number is None:
        return None
    file = error.filename if isinstance(error, OSError) else None
    return _sentence(number, Path(file).parent if isinstance(file, str) else folder)


def _sentence(number: int, folder: Path) -> str:
    is_full = number == errno.ENOSPC and folder.is_dir()
    free = f" ({shutil.disk_usage(folder).free / _MB:.0f} MB left)" if is_full else ""
    advice = _ADVICE.get(number, "name another folder with --workspace, or change its permissions")
    return f"{_describe(folder)} {_REASONS[number]}{free}: {advice}."


def _number(error: BaseException) -> int | None:
    """Return the errno if the disk caused the error; a missing permission does not count."""
    known = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
    if isinstance(error, OSError) and error.errno in known:
        return error.errno
    return next((number for text, number in _TEXTS.items() if text in str(error)), None)


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _FULL_BYTES
    except OSError:
        return False


def _describe(folder: Path) -> str:
    """Return a text that names a folder and the disk that it is on."""
    mount = folder.absolute()
    while not mount.is_mount() and mount != mount.parent:
        mount = mount.parent
    return f"The disk of {str(folder)!r} (mounted at {str(mount)!r})"
