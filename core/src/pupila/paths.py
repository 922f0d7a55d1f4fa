"""What a path leads to, known before it is read."""

from __future__ import annotations

from pathlib import Path

from pupila.errors import PupilaError


def is_special(path: Path) -> bool:
    """Tell whether it leads to a pipe, a socket or a device: to read that may never end."""
    return path.exists() and not path.is_file() and not path.is_dir()


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
