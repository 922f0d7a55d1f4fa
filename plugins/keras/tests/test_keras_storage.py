from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tf_keras

from pupila import PupilaError
from pupila_keras.storage import check_storage, open_hdf5


def classifier(library):
    layers = library.layers
    return library.Sequential(
        [
            layers.InputLayer((8, 8, 3)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )


def external_link(group: h5py.Group, name: str, kernel: np.ndarray, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = kernel
    group[name] = h5py.ExternalLink(str(folder / "other.h5"), "/secret")


def soft_link(group: h5py.Group, name: str, kernel: np.ndarray, folder: Path) -> None:
    del folder
    group.file["moved"] = kernel
    group[name] = h5py.SoftLink("/moved")


def external_dataset(group: h5py.Group, name: str, kernel: np.ndarray, folder: Path) -> None:
    (folder / "raw").write_bytes(kernel.tobytes())
    parts = [(str(folder / "raw"), 0, kernel.nbytes)]
    group.create_dataset(name, kernel.shape, kernel.dtype, external=parts)


def virtual_dataset(group: h5py.Group, name: str, kernel: np.ndarray, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = kernel
    layout = h5py.VirtualLayout(kernel.shape, kernel.dtype)
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "secret", kernel.shape)
    group.create_virtual_dataset(name, layout)


FOREIGN = [
    (external_link, "a link"),
    (soft_link, "a link"),
    (external_dataset, "an external dataset"),
    (virtual_dataset, "a virtual dataset"),
]


def replace_kernel(path: Path, replace, folder: Path) -> None:
    """Replace the only matrix of a file by a reference."""
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, entry: names.append(name) if is_matrix(entry) else None)
        (name,) = names
        matrix = file[name]
        assert isinstance(matrix, h5py.Dataset)
        kernel, group = matrix[()], matrix.parent
        del file[name]
        replace(group, name.rpartition("/")[2], kernel, folder)


def is_matrix(entry) -> bool:
    return isinstance(entry, h5py.Dataset) and entry.ndim == 2


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "keras2"])
@pytest.mark.parametrize(("replace", "kind"), FOREIGN)
def test_an_h5_that_reads_other_files_is_refused_by_name(
    library, replace, kind: str, tmp_path: Path, import_model
):
    source = tmp_path / "a.h5"
    classifier(library).save(source)
    replace_kernel(source, replace, tmp_path)
    with pytest.raises(PupilaError, match=rf"a\.h5': 'model_weights/.*kernel.*' is {kind}"):
        import_model(source)


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "keras2"])
@pytest.mark.parametrize(("replace", "kind"), FOREIGN)
def test_an_archive_whose_weights_read_other_files_is_refused_by_name(
    library, replace, kind: str, tmp_path: Path, import_model
):
    source = tmp_path / "a.keras"
    classifier(library).save(source)
    with zipfile.ZipFile(source) as old:
        old.extractall(tmp_path / "parts")
        names = old.namelist()
    replace_kernel(tmp_path / "parts" / "model.weights.h5", replace, tmp_path)
    with zipfile.ZipFile(source, "w") as new:
        for name in names:
            new.write(tmp_path / "parts" / name, name)
    with pytest.raises(PupilaError, match=rf"a\.keras': '.*layers/dense/vars/0' is {kind}"):
        import_model(source)


def test_a_link_at_a_group_is_refused(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["inner/elsewhere"] = h5py.ExternalLink("missing.h5", "/")
    with pytest.raises(PupilaError, match="'inner/elsewhere' is a link"):
        check_storage(tmp_path / "a.h5")


def test_groups_that_contain_each_other_pass(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["inner/outer"] = file.create_group("outer")
        file["outer/inner"] = file["inner"]
    check_storage(tmp_path / "a.h5")


def test_a_file_with_a_broken_head_gives_one_sentence(tmp_path: Path):
    """Other damage is not tested: the HDF5 library may then never end."""
    source = tmp_path / "a.h5"
    classifier(tf_keras).save(source)
    content = bytearray(source.read_bytes())
    content[8:96] = bytes(88)
    source.write_bytes(content)
    with pytest.raises(PupilaError, match="damaged"):
        check_storage(source)


@pytest.mark.parametrize("error", [OSError, RuntimeError, KeyError, ValueError, TypeError])
def test_errors_of_reading_say_that_the_file_is_damaged(error, tmp_path: Path):
    h5py.File(tmp_path / "a.h5", "w").close()
    with pytest.raises(PupilaError, match="HDF5 file, but damaged"), open_hdf5(tmp_path / "a.h5"):
        raise error("bad object header")
