"""File locks that a process holds as long as it lives, and that other machines can see."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def hold(lock: Path) -> None:
    """Wait until a file is free, and lock it for the rest of this process's life."""
    fcntl.flock(_open(lock), fcntl.LOCK_EX)


def is_held(lock: Path) -> bool:
    """Return whether a living process, on this machine or another, has a file locked.

    Raises:
        OSError: the file system has no locks, or cannot be reached.
    """
    handle = _open(lock)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # depends on the file system
        return True
    finally:
        os.close(handle)
    return False


def _open(lock: Path) -> int:
    return os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
