"""Measures files and folders in bytes on disk; hard links count once, symlinks are not followed."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

_BLOCK_BYTES = 512


def bytes_of(path: Path) -> int:
    """Return how many bytes a file, or a folder with everything in it, takes on disk."""
    blocks = {(status.st_dev, status.st_ino): status.st_blocks for status in statuses(path)}
    return _BLOCK_BYTES * sum(blocks.values())


def freed_bytes(paths: Iterable[Path]) -> list[int]:
    """Return the bytes that each path frees if the paths are removed in this order.

    The bytes of a file count for the path that removes its last hard link. A file that has another
    hard link elsewhere frees nothing.
    """
    seen: Counter[tuple[int, int]] = Counter()
    freed: list[int] = []
    for path in paths:
        blocks = 0
        for status in statuses(path):
            inode = (status.st_dev, status.st_ino)
            seen[inode] += 1
            is_folder = stat.S_ISDIR(status.st_mode)
            blocks += status.st_blocks if is_folder or seen[inode] >= status.st_nlink else 0
        freed.append(_BLOCK_BYTES * blocks)
    return freed


def statuses(path: Path) -> Iterator[os.stat_result]:
    """Yield the `stat` of a path and of everything below it."""
    try:
        yield path.lstat()
        if path.is_dir() and not path.is_symlink():
            for entry in path.iterdir():
                yield from statuses(entry)
    except OSError:  # gone meanwhile, or not readable
        return
