"""Measures the sizes of files as a server sends them: compressed."""

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

brotli: Any = import_module("brotli")  # has no type annotations

_GZIP_LEVEL = 9
_BROTLI_QUALITY = 11
_LARGE_BYTES = 10_000_000
_LARGE_BROTLI_QUALITY = 9
"""Brotli quality for files larger than `_LARGE_BYTES` in total.

On the first 8 MB of a VGG16's weights, quality 11 took 29 s and gave 7.37 MB; quality 9 took 0.3 s
and gave 7.43 MB.
"""


def download(files: Iterable[Path]) -> Download:
    """Return the total size of the files in bytes: uncompressed, with gzip, and with brotli.

    Each file is compressed separately. gzip uses level 9. brotli uses quality 11, or 9 if the files
    have more than 10 MB in total. (The total counts because TF.js cuts a model into files of 4 MB.)
    Sizes are cached by the digest of the file, as compressing the code of a runtime takes half a
    minute.
    """
    paths = list(files)
    large = sum(path.stat().st_size for path in paths) > _LARGE_BYTES
    quality = _LARGE_BROTLI_QUALITY if large else _BROTLI_QUALITY
    sizes = [_cached_sizes(path, quality) for path in paths]
    return Download(
        size_bytes=sum(file["size"] for file in sizes),
        gzip_bytes=sum(file["gzip"] for file in sizes),
        brotli_bytes=sum(file["brotli"] for file in sizes),
    )


def _cached_sizes(file: Path, quality: int) -> dict[str, int]:
    cache = cache_folder() / "sizes" / f"{digest_file(file)}-{quality}.json"
    sizes = read_json(cache)
    if sizes is None:
        sizes = _compressed_sizes(file.read_bytes(), quality)
        write_atomically(cache, json.dumps(sizes).encode())
    return sizes


def _compressed_sizes(content: bytes, quality: int) -> dict[str, int]:
    return {
        "size": len(content),
        "gzip": len(gzip.compress(content, _GZIP_LEVEL)),
        "brotli": len(brotli.compress(content, quality=quality)),
    }
