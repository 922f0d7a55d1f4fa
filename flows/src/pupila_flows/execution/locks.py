"""Files that a living process holds locked, as processes on other machines see them."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def hold(lock: Path) -> None:
    """Hold a file locked from now on, for as long as this process lives; wait for who has it."""
    fcntl.flock(_opened(lock), fcntl.LOCK_EX)


def is_held(lock: Path) -> bool:
    """Tell whether a living process, on this machine or another, holds a file locked.

    Raises:
        OSError: the file system has no locks, or cannot be reached.
    """
    handle = _opened(lock)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # which of them, file systems differ in
        return True
    finally:
        os.close(handle)
    return False


def _opened(lock: Path) -> int:
    return os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
