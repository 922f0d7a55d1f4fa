"""Recognises the kind of a model file by its content, or else by its name.

The module imports nothing heavy, as it runs for every file that a recipe names.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_PICKLE_MAGICS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_KIND_BY_SUFFIX = {
    ".keras": "archive",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".joblib": "pickle",
}


def is_archive(source: Path) -> bool:
    """Return whether a file is a `.keras` archive: a zip with a Keras config.

    If the kind of the content is unknown, the suffix `.keras` decides.
    """
    return _kind(source) == "archive"


def is_hdf5(source: Path) -> bool:
    """Return whether a file is HDF5.

    If the kind of the content is unknown, the suffix `.h5` or `.hdf5` decides.
    """
    return _kind(source) == "hdf5"


def is_pickle(source: Path) -> bool:
    """Return whether a file is a pickle, or a zip with a pickle in it, as PyTorch writes.

    If the kind of the content is unknown, the suffix `.pkl`, `.pickle` or `.joblib` decides.
    """
    return _kind(source) == "pickle"


def is_savedmodel(source: Path) -> bool:
    """Return whether `source` is a folder with a `saved_model.pb`."""
    return (source / "saved_model.pb").is_file()


def _kind(source: Path) -> str | None:
    if not source.is_file():
        return None
    return _kind_by_content(source) or _KIND_BY_SUFFIX.get(source.suffix.lower())


def _kind_by_content(source: Path) -> str | None:
    with source.open("rb") as stream:
        start = stream.read(len(_HDF5_MAGIC))
    if start == _HDF5_MAGIC:
        return "hdf5"
    if start.startswith(_PICKLE_MAGICS):
        return "pickle"
    return _kind_by_members(source) if start.startswith(b"PK") else None


def _kind_by_members(source: Path) -> str | None:
    try:
        with zipfile.ZipFile(source) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return None
    if "config.json" in names and "metadata.json" in names:
        return "archive"
    return "pickle" if any(name.endswith(".pkl") for name in names) else None
