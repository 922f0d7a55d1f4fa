"""What files weigh when a server sends them compressed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from pupila.damage import read_json
from pupila.digest import digest_file
from pupila.evaluation import Download
from pupila.store import write_atomically
from pupila.web.npm import cache_folder

brotli: Any = import_module("brotli")  # it has no types

_GZIP_LEVEL = 9
_BROTLI_QUALITY = 11
_LARGE_BYTES = 10_000_000
_LARGE_BROTLI_QUALITY = 9
"""For files of more than that together. On the first 8 MB of a VGG16's weights, quality 11 took
29 s and gave 7.37 MB, quality 9 took 0.3 s and gave 7.43."""


def download(files: Iterable[Path]) -> Download:
    """Return what these files weigh together, each compressed by itself.

    gzip is at level 9, brotli at quality 11, or 9 above 10 MB in all (TF.js cuts a model into files
    of 4 MB). What a file came to is remembered by its digest, as the code of a runtime takes half a
    minute.
    """
    listed = list(files)
    large = sum(file.stat().st_size for file in listed) > _LARGE_BYTES
    quality = _LARGE_BROTLI_QUALITY if large else _BROTLI_QUALITY
    weights = [_weight(file, quality) for file in listed]
    return Download(
        size_bytes=sum(weight["size"] for weight in weights),
        gzip_bytes=sum(weight["gzip"] for weight in weights),
        brotli_bytes=sum(weight["brotli"] for weight in weights),
    )


def _weight(file: Path, quality: int) -> dict[str, int]:
    memory = cache_folder() / "sizes" / f"{digest_file(file)}-{quality}.json"
    known = read_json(memory)
    if known is None:
        known = _compressed(file.read_bytes(), quality)
        write_atomically(memory, json.dumps(known).encode())
    return known


def _compressed(content: bytes, quality: int) -> dict[str, int]:
    return {
        "size": len(content),
        "gzip": len(gzip.compress(content, _GZIP_LEVEL)),
        "brotli": len(brotli.compress(content, quality=quality)),
    }
