"""A file that unpacks to far more than it is, is refused before it is unpacked."""

from __future__ import annotations

import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pupila import PupilaError
from pupila.keras_files import import_keras

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
    return archive(path / "model.keras", "model.weights.h5", GIGABYTE // 2)


def another_member(path: Path) -> Path:
    return archive(path / "model.keras", "assets/notes", GIGABYTE // 2)


def packed_weights(path: Path) -> Path:
    """HDF5 packs datasets by itself, and stores none at all for those that were never filled."""
    with h5py.File(path / "model.h5", "w") as file:
        file.create_dataset("zeros", (GIGABYTE,), np.float32, compression="gzip")
    return path / "model.h5"


def wide(units: int) -> Any:
    keras = import_keras()
    layers = keras.layers
    return keras.Sequential([layers.Input((32, 32, 3)), layers.Flatten(), layers.Dense(units)])


def a_wide_layer(path: Path) -> Path:
    """Keras would make the layer's weights before it sees that the file has no such."""
    wide(2).save(path / "small.keras")
    with zipfile.ZipFile(path / "small.keras") as small:
        members = {name: small.read(name) for name in small.namelist()}
    members["config.json"] = members["config.json"].replace(b'"units": 2,', b'"units": 400000,')
    with zipfile.ZipFile(path / "model.keras", "w") as large:
        for name, content in members.items():
            large.writestr(name, content)
    return path / "model.keras"


def a_wide_layer_in_hdf5(path: Path) -> Path:
    wide(2).save(path / "model.h5")
    with h5py.File(path / "model.h5", "a") as file:
        config = str(file.attrs["model_config"])
        file.attrs["model_config"] = config.replace('"units": 2,', '"units": 400000,')
    return path / "model.h5"


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (a_config, "its config.json would take 268,435,456 bytes"),
        (metadata, "its metadata.json would take 268,435,456 bytes"),
        (weights, r"bytes and would take 536,87\d,\d+: more than 50 times"),
        (another_member, r"bytes and would take 536,87\d,\d+: more than 50 times"),
        (a_wide_layer, "would take 4,916,800,000: more than 50 times"),
        (a_wide_layer_in_hdf5, "would take 4,916,800,000: more than 50 times"),
        (packed_weights, "bytes and would take 4,294,967,296: more than 50 times"),
    ],
)
def test_what_unpacks_to_far_more_is_refused_without_unpacking(
    write: Callable[[Path], Path], complaint: str, tmp_path: Path, import_model
):
    import_keras()
    source = write(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PupilaError, match=complaint):
        import_model(source)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes
