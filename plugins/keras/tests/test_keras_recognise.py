from __future__ import annotations

import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import pytest

from pupila import PupilaError, installed


def write_zip(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "{}")
    return path


def write_hdf5(path: Path) -> Path:
    h5py.File(path, "w").close()
    return path


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("make", "loader"),
    [
        (lambda folder: write_zip(folder / "a.keras", "config.json", "metadata.json"), "keras"),
        (lambda folder: write_zip(folder / "a.h5", "config.json", "metadata.json"), "keras"),
        (lambda folder: write_zip(folder / "a.keras", "notes.txt"), "keras"),
        (lambda folder: write(folder / "a.keras", b"\xff\xd8\xff\xe0 a JPEG"), "keras"),
        (lambda folder: write(folder / "a.keras", b""), "keras"),
        (lambda folder: write_hdf5(folder / "a.h5"), "keras-h5"),
        (lambda folder: write_hdf5(folder / "a.keras"), "keras-h5"),
        (lambda folder: write_hdf5(folder / "model"), "keras-h5"),
        (lambda folder: write(folder / "a.HDF5", b"text"), "keras-h5"),
        (lambda folder: write(folder / "a.h5", pickle.dumps([1], protocol=4)), "pickle"),
        (lambda folder: write(folder / "a.pkl", pickle.dumps([1], protocol=0)), "pickle"),
        (lambda folder: write(folder / "a.joblib", b"\x78\x9c compressed"), "pickle"),
        (lambda folder: write_zip(folder / "a.pt", "archive/data.pkl"), "pickle"),
    ],
)
def test_content_takes_precedence_over_the_name(make, loader: str, tmp_path: Path):
    assert installed().loader(make(tmp_path)).name == loader


def test_a_folder_is_a_savedmodel_by_its_graph(tmp_path: Path):
    write(tmp_path / "saved_model.pb", b"")
    assert installed().loader(tmp_path).name == "savedmodel"


def test_a_zip_that_claims_nothing_is_left_to_other_plugins(tmp_path: Path):
    with pytest.raises(PupilaError, match="in no known model format"):
        installed().loader(write_zip(tmp_path / "photographs.zip", "a.jpg"))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_refused_without_being_opened(protocol: int, tmp_path: Path, import_model):
    trap = tmp_path / "sprung"
    source = write(tmp_path / "model.bin", pickle.dumps(Trap(trap), protocol=protocol))
    with pytest.raises(PupilaError, match=r"model\.bin' is a pickle, and opening one runs"):
        import_model(source)
    assert not trap.exists()


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_listing_the_plugin_imports_no_framework():
    program = (
        "import sys; from pupila import installed, Loader; installed().all(Loader);"
        "print([name for name in ('tensorflow', 'keras', 'h5py') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"
