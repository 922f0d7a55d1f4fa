"""What a path leads to, known before it is read."""

from __future__ import annotations

import os
from errno import EINVAL
from pathlib import Path
from stat import S_ISDIR

from pupila.errors import PupilaError

_OF_THE_KERNEL = (("proc",), ("sys",))


def is_special(path: Path) -> bool:
    """Tell whether it leads to a pipe, a socket or a device: to read that may never end.

    So do files of the kernel, some of which wait for what will be written to them (`/proc/kmsg`).
    """
    if not path.exists() or path.is_dir():
        return False
    if not path.is_file():
        return True
    return not path.stat().st_size and path.resolve().parts[1:2] in _OF_THE_KERNEL


def folder_problem(path: Path) -> str | None:
    """Say why a path is no folder and cannot become one where anything is kept; None where it can.

    It follows what a sentence is about: `leads to '/dev/null', where the kernel keeps no files`.
    """
    real = Path(os.path.realpath(path))
    if real.parts[1:2] in (*_OF_THE_KERNEL, ("dev",)) and real.parts[1:3] != ("dev", "shm"):
        return f"leads to {str(real)!r}, where the kernel keeps no files"
    for each in (real, *real.parents):
        try:
            mode = each.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            return f"cannot be there ({error.strerror})"
        return None if S_ISDIR(mode) else f"cannot be there: {str(each)!r} is no folder"
    return None


def read_plain(path: Path) -> bytes:
    """Return what a file holds that someone else may have put there.

    Raises:
        OSError: there is none, it may not be read, or it is a pipe or a device.
    """
    if is_special(path):
        raise OSError(EINVAL, "it is a pipe or a device", str(path))
    return path.read_bytes()


def check_encoding(path: str) -> None:
    """Refuse a file or folder whose name is not in UTF-8: no page and no database could hold it.

    Raises:
        PupilaError: it is in another encoding.
    """
    if path.isascii():
        return
    try:
        path.encode()
    except UnicodeEncodeError as error:
        byte = ord(path[error.start]) & 0xFF
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        raise PupilaError(
            f"{shown!r} is a name that is not in UTF-8 (byte {byte:#04x}): rename it, for instance "
            "with `convmv -f latin1 -t utf8 --notest -r FOLDER`."
        ) from None
