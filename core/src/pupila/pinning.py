"""Pins this process to a few cores, so that no thread changes cores during a timing."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def pin(cores: int) -> Generator[None]:
    """Keep all threads on the first `cores` allowed cores during the `with` block.

    On systems other than Linux, do nothing.
    """
    if not _THREADS.is_dir():
        yield
        return
    allowed = {thread: os.sched_getaffinity(thread) for thread in _threads()}
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    try:
        for thread in allowed:
            _pin_thread(thread, chosen)
        yield
    finally:
        for thread, before in allowed.items():
            _pin_thread(thread, before)


def _threads() -> list[int]:
    return [int(entry.name) for entry in _THREADS.iterdir()]


def _pin_thread(thread: int, cores: set[int] | list[int]) -> None:
    with suppress(OSError):  # it has ended meanwhile, or a container does not allow it
        os.sched_setaffinity(thread, cores)
