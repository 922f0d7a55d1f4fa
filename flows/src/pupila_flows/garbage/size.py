"""Bytes on disk of files and folders; hard links count once, and nothing outside is followed."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

_BLOCK_BYTES = 512


def bytes_of(path: Path) -> int:
    """Return what a file, or a folder with all below it, takes on disk."""
    blocks = {(each.st_dev, each.st_ino): each.st_blocks for each in statuses(path)}
    return _BLOCK_BYTES * sum(blocks.values())


def freed_bytes(paths: Iterable[Path]) -> list[int]:
    """Return for each of some paths how much its removal frees, once those before it are gone.

    A file that something else links to frees nothing; else it counts with the last of its links.
    """
    seen: Counter[tuple[int, int]] = Counter()
    freed: list[int] = []
    for path in paths:
        blocks = 0
        for each in statuses(path):
            file = (each.st_dev, each.st_ino)
            seen[file] += 1
            is_folder = stat.S_ISDIR(each.st_mode)
            blocks += each.st_blocks if is_folder or seen[file] >= each.st_nlink else 0
        freed.append(_BLOCK_BYTES * blocks)
    return freed


def statuses(path: Path) -> Iterator[os.stat_result]:
    """Yield what the disk says of a path, and of all below it."""
    try:
        yield path.lstat()
        if path.is_dir() and not path.is_symlink():
            for each in path.iterdir():
                yield from statuses(each)
    except OSError:  # gone meanwhile, or not ours to read
        return
