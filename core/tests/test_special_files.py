"""Pipes, devices, and names that are not in UTF-8, in folders, CSVs and artifacts."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pupila import layout, manifest
from pupila.artifact import RECORD_NAME, TIMINGS_NAME, Origin
from pupila.errors import PupilaError
from pupila.plugin_registry import installed
from pupila.spec import InputSpec, OutputSpec
from pupila.store import Store, read_artifact
from pupila.testing import draw_images, ignore_progress


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    short = os.open(path.parent, os.O_RDONLY)  # the address of a socket has 107 bytes at most
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{short}/{path.name}")
    os.close(short)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return draw_images(tmp_path / "images", images=2)


@pytest.mark.parametrize("make", [pipe, listening, endless])
def test_a_special_file_in_a_class_folder_is_an_unreadable_image(
    tree: Path, make: Callable[[Path], None]
) -> None:
    special = tree / "train" / "square" / "special.png"
    make(special)
    frame = manifest.scan(manifest.read(tree), tree.parent / "cache", ignore_progress)
    errors = frame.set_index("path")["error"]
    assert errors[str(special)] == "it is a pipe or a device, not a file"
    assert (errors == "").sum() == len(frame) - 1


@pytest.mark.parametrize("make", [pipe, listening, endless])
def test_a_special_file_in_a_csv_is_reported_with_its_line(
    tree: Path, make: Callable[[Path], None]
) -> None:
    make(tree / "special.png")
    (tree / "eyes.csv").write_text("path,label,split\nspecial.png,ill,train\n")
    with pytest.raises(PupilaError, match=r"line 2.*special\.png"):
        manifest.read(tree / "eyes.csv")


@pytest.mark.parametrize("make", [pipe, listening, endless])
def test_a_special_file_is_refused_as_data_and_as_a_model(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    for name in ("eyes.csv", "big.keras"):
        make(tmp_path / name)
    for read in (manifest.read, layout.labels):
        with pytest.raises(PupilaError, match="No data at"):
            read(tmp_path / "eyes.csv")
    with pytest.raises(PupilaError, match="is a pipe or a device: give the path of a file"):
        installed().loader(tmp_path / "big.keras")


@pytest.mark.parametrize(
    ("folder", "name"),
    [("square", b"caf\xe9.png"), (b"caf\xe9", b"1.png"), (b"\xff\xfe", b"\x80.png")],
)
def test_a_name_that_is_not_in_utf_8_is_refused(
    tree: Path, folder: str | bytes, name: bytes
) -> None:
    file = os.path.join(os.fsencode(tree), b"train", os.fsencode(folder), name)  # noqa: PTH118  bytes
    os.makedirs(os.path.dirname(file), exist_ok=True)  # noqa: PTH103, PTH120  bytes
    os.link(next(tree.glob("train/square/*.png")), file)
    for read in (manifest.read, layout.labels):
        with pytest.raises(PupilaError) as refused:
            read(tree)
        assert "is a name that is not in UTF-8 (byte 0x" in str(refused.value)
        assert "\N{REPLACEMENT CHARACTER}" in str(refused.value)
        str(refused.value).encode()
        if folder == "square":
            break  # labels ask for no more than the first image of a class


def test_names_in_any_script_are_accepted(tree: Path) -> None:
    (tree / "train" / "square").rename(tree / "train" / "пресбиопия")
    assert "пресбиопия" in layout.labels(tree)


def test_an_artifact_with_an_endless_name_or_a_pipe_for_times_is_read_or_refused(tmp_path: Path):
    store = Store(tmp_path / "store")
    with store.draft() as draft:
        (draft / "model.keras").write_bytes(b"weights")
        made = store.add(
            draft,
            format="keras",
            input=InputSpec(height=8, width=8),
            output=OutputSpec(kind="softmax", classes=("a", "b")),
            origin=Origin(plugin="x", distribution="x", version="0"),
        )
    folder = tmp_path / "copy"
    shutil.copytree(made.path, folder)
    os.mkfifo(folder / TIMINGS_NAME)
    assert read_artifact(folder).digest == made.digest
    record = (folder / RECORD_NAME).read_text()
    (folder / RECORD_NAME).write_text(record.replace("model.keras", "m" * 300))
    with pytest.raises(PupilaError, match="was altered or lost"):
        read_artifact(folder)
