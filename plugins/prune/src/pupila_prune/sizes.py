"""Measures file sizes: zeros and repeated values make a file smaller only when compressed."""

from __future__ import annotations

import gzip
from pathlib import Path

from pupila import Artifact
from pupila.keras_files import MODEL_NAME
from pupila.measured import FileSizePair, FileSizes, StoredBytes

_LEVEL = 6
"""DEFLATE level, the same as in `Artifact.gzip_bytes`, by which reports compare files."""


def file_sizes(uncut: Artifact, folder: Path, stored: str) -> FileSizes:
    """Return the sizes of the uncut and the cut model file, plain and compressed.

    The result also has a note about the sizes, for the report. In this note, `stored` names the
    values that "are stored like any other weight", such as `"zeros"`.
    """
    before, after = (_bytes(location / MODEL_NAME) for location in (uncut.path, folder))
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
