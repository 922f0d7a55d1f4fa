"""A file that unpacks to far more than its size is refused before it is unpacked."""

from __future__ import annotations

import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tf_keras

from pupila import PupilaError
from pupila.keras_files import import_keras

GIGABYTE = 1 << 30


def archive(path: Path, member: str, size: int) -> Path:
    """Write an archive with one member of that many zeros."""
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
    """HDF5 compresses datasets, and stores nothing for those that were never filled."""
    with h5py.File(path / "model.h5", "w") as file:
        file.create_dataset("zeros", (GIGABYTE,), np.float32, compression="gzip")
    return path / "model.h5"


def small(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.UpSampling2D(2),
            layers.GlobalMaxPooling2D(),
            layers.Dense(2),
        ]
    )


def with_config(path: Path, keras: Any, old: str, new: str) -> Path:
    """Save a small model and alter its config, but not its weights."""
    small(keras).save(path)
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            config = str(file.attrs["model_config"])
            assert old in config
            file.attrs["model_config"] = config.replace(old, new)
        return path
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert old.encode() in members["config.json"]
    members["config.json"] = members["config.json"].replace(old.encode(), new.encode())
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


WIDE = '"units": 2,', '"units": 400000000,'
"""Keras would create the layer's weights before it finds that the file lacks them."""
LARGE = '"size": [2, 2]', '"size": [4000, 4000]'


def a_wide_layer(path: Path) -> Path:
    return with_config(path / "model.keras", import_keras(), *WIDE)


def a_wide_layer_in_hdf5(path: Path) -> Path:
    return with_config(path / "model.h5", import_keras(), *WIDE)


def a_wide_layer_of_keras_2(path: Path) -> Path:
    return with_config(path / "model.keras", tf_keras, *WIDE)


def a_wide_layer_of_keras_2_in_hdf5(path: Path) -> Path:
    return with_config(path / "model.h5", tf_keras, *WIDE)


def a_large_map(path: Path) -> Path:
    return with_config(path / "model.keras", import_keras(), *LARGE)


def a_large_map_of_keras_2(path: Path) -> Path:
    return with_config(path / "model.h5", tf_keras, *LARGE)


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (a_config, "its config.json would take 268,435,456 bytes"),
        (metadata, "its metadata.json would take 268,435,456 bytes"),
        (weights, r"bytes and would take 536,87\d,\d+: more than 50 times"),
        (another_member, r"bytes and would take 536,87\d,\d+: more than 50 times"),
        (a_wide_layer, "would take 6,400,000,000: more than 50 times"),
        (a_wide_layer_in_hdf5, "would take 6,400,000,000: more than 50 times"),
        (a_wide_layer_of_keras_2, "would take 6,400,000,000: more than 50 times"),
        (a_wide_layer_of_keras_2_in_hdf5, "would take 6,400,000,000: more than 50 times"),
        (a_large_map, "returns 196,608,000,000 bytes"),
        (a_large_map_of_keras_2, "returns 196,608,000,000 bytes"),
        (packed_weights, "bytes and would take 4,294,967,296: more than 50 times"),
    ],
)
def test_a_file_that_unpacks_to_far_more_is_refused_without_unpacking(
    write: Callable[[Path], Path], complaint: str, tmp_path: Path, import_model
):
    import_keras()
    source = write(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PupilaError, match=complaint):
        import_model(source)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes
