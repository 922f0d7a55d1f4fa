"""What weights that are 0 or alike do to files: nothing, until these are compressed."""

from __future__ import annotations

import gzip
from pathlib import Path

from pupila import Artifact
from pupila.keras_files import MODEL_NAME
from pupila.measured import FileSizePair, FileSizes, StoredBytes

_LEVEL = 6
"""Of DEFLATE: that of `Artifact.gzip_bytes`, with which reports compare files."""


def file_sizes(uncut: Artifact, folder: Path, stored: str) -> FileSizes:
    """Return the bytes of both model files, plain and by DEFLATE, and a sentence on them.

    `stored` names what a file holds like any other weight.
    """
    before, after = (_bytes(place / MODEL_NAME) for place in (uncut.path, folder))
    note = (
        f"The model file has {after.plain:,} bytes, that of the uncut model "
        f"{before.plain:,}: {stored} are stored like any other weight. Compressed it has "
        f"{after.gzip:,} bytes, {after.gzip / before.gzip:.0%} of the uncut one's."
    )
    return FileSizes(file_bytes=FileSizePair(uncut=before, cut=after), size_note=note)


def _bytes(file: Path) -> StoredBytes:
    content = file.read_bytes()
    compressed = gzip.compress(content, _LEVEL, mtime=0)
    return StoredBytes(plain=len(content), gzip=len(compressed))
