"""Recognises formats and data sets by names and first bytes; imports no decoder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pupila.data_plugins import HEAD_BYTES
from pupila_images.config import LABELS_NAME

METADATA_NAMES = ("metadata.csv", "metadata.jsonl")
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
"""Brands of HEVC-coded images, ISO/IEC 23008-12; `mif1` and `msf1` may have any coding."""
_TFRECORD = re.compile(r"\.tfrecords?(-\d+-of-\d+)?$")


def is_heic(head: bytes) -> bool:
    """Tell whether a file begins as an HEIC image: its box `ftyp` names a brand of HEIC."""
    if head[4:8] != b"ftyp":
        return False
    size = int.from_bytes(head[:4], "big")
    brands = {head[at : at + 4] for at in (8, *range(16, min(size, len(head)), 4))}
    return bool(brands & _HEIC_BRANDS)


def is_dicom(head: bytes) -> bool:
    """Tell whether a file begins as DICOM, PS3.10: 128 bytes, then `DICM`."""
    return head[128:132] == b"DICM"


def is_dicom_folder(path: Path) -> bool:
    """Tell whether a folder has a CSV of labels, and a DICOM file first among its other files."""
    if not (path.is_dir() and (path / LABELS_NAME).is_file()):
        return False
    first = next((file for file in visible_files(path) if file != path / LABELS_NAME), None)
    return first is not None and _is_dicom_file(first)


def is_image_folder(path: Path) -> bool:
    """Tell whether a folder, or one directly in it, has metadata as Hugging Face names it."""
    return path.is_dir() and any(metadata_files(path))


def is_tfrecord(path: Path) -> bool:
    """Tell whether a file, or a file directly in a folder, is named as a TFRecord file."""
    return any(tfrecord_files(path))


def visible_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder at any depth, sorted, without hidden ones."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from visible_files(path)
        elif path.is_file():
            yield path


def metadata_files(folder: Path) -> Iterator[Path]:
    """Yield the metadata of a folder, and of the folders directly in it, sorted."""
    below = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    for parent in (folder, *below):
        yield from (parent / name for name in METADATA_NAMES if (parent / name).is_file())


def tfrecord_files(path: Path) -> Iterator[Path]:
    """Yield a TFRecord file, or those directly in a folder, sorted."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    yield from (file for file in files if _TFRECORD.search(file.name) and file.is_file())


def _is_dicom_file(path: Path) -> bool:
    with path.open("rb") as stream:
        return is_dicom(stream.read(HEAD_BYTES))
