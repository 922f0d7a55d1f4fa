"""Keeps the threads of this process on a few cores, so that none moves while it is timed."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def pinned(cores: int) -> Generator[None]:
    """Keep all threads on the first `cores` of those allowed. Without Linux, nothing changes."""
    if not _THREADS.is_dir():
        yield
        return
    allowed = {thread: os.sched_getaffinity(thread) for thread in _threads()}
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    try:
        for thread in allowed:
            _pin(thread, chosen)
        yield
    finally:
        for thread, before in allowed.items():
            _pin(thread, before)


def _threads() -> list[int]:
    return [int(entry.name) for entry in _THREADS.iterdir()]


def _pin(thread: int, cores: set[int] | list[int]) -> None:
    with suppress(OSError):  # it has ended meanwhile, or a container does not allow it
        os.sched_setaffinity(thread, cores)
