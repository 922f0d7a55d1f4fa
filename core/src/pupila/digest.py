"""Content digests: what every cache key and artifact name is made of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

_BLOCK_BYTES = 1 << 20


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            state.update(block)
    return state.hexdigest()


def digest_tree(path: Path) -> str:
    """Return one SHA-256 for a file, or for a folder's relative names and contents."""
    if path.is_file():
        return digest_file(path)
    return digest_json(
        {
            file.relative_to(path).as_posix(): digest_file(file)
            for file in sorted(path.rglob("*"))
            if file.is_file()
        }
    )


def digest_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
