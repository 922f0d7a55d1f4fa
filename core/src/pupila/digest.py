"""Digests of files, JSON values and code, for cache keys and names of artifacts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_BLOCK_BYTES = 1 << 20
_SHORT_DIGITS = 12


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            state.update(block)
    return state.hexdigest()


def short_digest(digest: str) -> str:
    """Return the first 12 digits of a digest, which are enough to tell artifacts apart."""
    return digest[:_SHORT_DIGITS]


def digest_tree(path: Path) -> str:
    """Return one SHA-256 for a file, or for the names and contents of all files in a folder."""
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
    """Return the SHA-256 of a JSON value; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def digest_code(*modules: str) -> str:
    """Return one SHA-256 of the source of some modules; a package stands for all its modules.

    Use this digest in the key of a cached result that must be remade after every change of the
    code, not only after a new version of the package. The modules themselves are not imported, only
    the packages that contain them.
    """
    return digest_json({name: sorted(_code_in(name)) for name in modules})


def _code_in(name: str) -> Iterator[tuple[str, str]]:
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    for folder in spec.submodule_search_locations or ():
        for file in Path(folder).rglob("*.py"):
            yield file.relative_to(folder).as_posix(), digest_file(file)
    if spec.origin and not spec.submodule_search_locations:
        yield "", digest_file(Path(spec.origin))
