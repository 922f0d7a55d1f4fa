"""Checks of paths before they are read: special files, impossible folders, names not in UTF-8."""

from __future__ import annotations

import os
from errno import EINVAL
from pathlib import Path
from stat import S_ISDIR

from pupila.errors import PupilaError

_KERNEL_FOLDERS = (("proc",), ("sys",))


def is_special(path: Path) -> bool:
    """Tell whether a path leads to a pipe, socket, device or kernel file.

    Reading such a file may never end: some kernel files (`/proc/kmsg`) wait for new content.
    """
    if not path.exists() or path.is_dir():
        return False
    if not path.is_file():
        return True
    return not path.stat().st_size and path.resolve().parts[1:2] in _KERNEL_FOLDERS


def is_file(path: str) -> bool:
    """Tell whether a file exists; False if it cannot be accessed."""
    try:
        return Path(path).is_file()
    except OSError:  # the name is too long for a file, or lies in a folder that may not be read
        return False


def slash_hint(path: Path | str) -> str:
    """Return advice on a path that does not exist if it has the separators of Windows, else ''."""
    wrong = os.sep == "/" and "\\" in str(path)
    return " It has '\\' between folders: write '/' instead." if wrong else ""


def folder_problem(path: Path) -> str | None:
    """Return why a folder at this path cannot hold files; None if it can.

    The result is the end of a sentence: `leads to '/dev/null', where the kernel keeps no files`.
    """
    real = Path(os.path.realpath(path))
    if real.parts[1:2] in (*_KERNEL_FOLDERS, ("dev",)) and real.parts[1:3] != ("dev", "shm"):
        return f"leads to {str(real)!r}, where the kernel keeps no files"
    for folder in (real, *real.parents):
        try:
            mode = folder.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            return f"cannot be there ({error.strerror})"
        return None if S_ISDIR(mode) else f"cannot be there: {str(folder)!r} is not a folder"
    return None


def read_plain(path: Path) -> bytes:
    """Return the bytes of a file that others may have made; refuse pipes and devices.

    Raises:
        OSError: the file does not exist, may not be read, or is a pipe or a device.
    """
    if is_special(path):
        raise OSError(EINVAL, "it is a pipe or a device", str(path))
    return path.read_bytes()


def check_encoding(path: str) -> None:
    """Make sure that a path is in UTF-8, which pages and databases require.

    Raises:
        PupilaError: the path is in another encoding.
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
