"""A file that unpacks to far more than it is, is refused before it is unpacked."""

from __future__ import annotations

import resource
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pupila import PupilaError

GIGABYTE = 1 << 30


def archive(path: Path, member: str, size: int) -> Path:
    """Write an archive of which one member is so many zeros."""
    members = {"config.json": b"{}", "metadata.json": b'{"keras_version": "3.15.1"}'}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stored:
        for name, content in (members | {"model.weights.h5": b""}).items():
            if name != member:
                stored.writestr(name, content)
        with stored.open(member, "w", force_zip64=True) as stream:
            for _ in range(size >> 24):
                stream.write(bytes(1 << 24))
    return path


def a_config(path: Path) -> Path:
    return archive(path / "model.keras", "config.json", GIGABYTE // 4)


def metadata(path: Path) -> Path:
    return archive(path / "model.keras", "metadata.json", GIGABYTE // 4)


def weights(path: Path) -> Path:
    return archive(path / "model.keras", "model.weights.h5", GIGABYTE)


def another_member(path: Path) -> Path:
    return archive(path / "model.keras", "assets/notes", GIGABYTE)


def packed_weights(path: Path) -> Path:
    """HDF5 packs datasets by itself, and stores none at all for those that were never filled."""
    with h5py.File(path / "model.h5", "w") as file:
        file.create_dataset("zeros", (GIGABYTE,), np.float32, compression="gzip")
    return path / "model.h5"


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (a_config, "its config.json would take 268,435,456 bytes"),
        (metadata, "its metadata.json would take 268,435,456 bytes"),
        (weights, r"bytes and would take 1,073,741,\d+: more than 50 times"),
        (another_member, r"bytes and would take 1,073,741,\d+: more than 50 times"),
        (packed_weights, "bytes and would take 4,294,967,296: more than 50 times"),
    ],
)
def test_what_unpacks_to_far_more_is_refused_without_unpacking(
    write: Callable[[Path], Path], complaint: str, tmp_path: Path, import_model
):
    source = write(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PupilaError, match=complaint):
        import_model(source)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes
