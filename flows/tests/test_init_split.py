"""A split keeps patients and near-duplicates together, and the shares of classes alike."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pupila.errors import PupilaError
from pupila.manifest import read
from pupila.testing import draw_colours, ignore_progress
from pupila_flows.init.split import Images, find_images, group_images, split_images

PATIENT = "^(P[0-9]+)_"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for each class, of 40 images of 20 patients and one copy."""
    random = np.random.default_rng(0)
    for name, count in (("ill", 16), ("well", 24)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (12, 12, 3), np.uint8)
            picture = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC)
            picture.save(tmp_path / "photos" / name / f"P{number // 2}_{number}.png")
    return tmp_path / "photos"


def find(source: Path, patient: str | None = None, seed: int = 1) -> Images:
    into = source.parent / "written" / "images.csv"
    return find_images(source, into, source.parent / "cache", patient, seed, ignore_progress)


def splits_of_patients(table: pd.DataFrame) -> list[int]:
    """Return in how many splits each patient has images."""
    splits: dict[str, set[str]] = {}
    for patient, split in zip(table["patient"], table["split"], strict=True):
        splits.setdefault(patient, set()).add(split)
    return [len(names) for names in splits.values()]


def test_a_folder_of_classes_gets_a_split_that_a_recipe_reads(folder: Path):
    images = find(folder)
    listing = read(images.path)
    assert len(listing) == 40
    assert set(listing["split"]) == {"train", "validation", "test"}
    assert images.counts("test") == {"ill": 3, "well": 5}
    assert images.path.read_text().startswith("path,label,split\n../photos/ill/P")


def test_patients_stay_in_one_split(folder: Path):
    images = find(folder, PATIENT)
    table = pd.read_csv(images.path, dtype=str)
    assert set(table.columns) == {"path", "label", "split", "patient"}
    assert splits_of_patients(table) == [1] * 12
    assert images.groups == 12


def test_equal_files_and_near_duplicates_stay_in_one_split(folder: Path):
    first = min((folder / "ill").iterdir())
    shutil.copy(first, folder / "ill" / "copy.png")
    with Image.open(first) as picture:
        picture.resize((60, 60)).save(folder / "ill" / "smaller.png")
    images = find(folder)
    frame = images.frame
    names = [str(folder / "ill" / name) for name in (first.name, "copy.png", "smaller.png")]
    twins = frame["path"].isin(names)
    assert twins.sum() == 3
    assert frame["split"][twins].nunique() == 1
    assert images.groups == 40


def test_what_is_linked_by_another_image_is_in_one_group():
    frame = pd.DataFrame(
        {
            "patient": ["a", "a", "", "", "b"],
            "sha256": ["1", "2", "2", "4", "5"],
            "phash": ["0" * 64, "f" * 64, "0f" * 32, "0f" * 31 + "0e", "3c" * 32],
        }
    )
    groups = group_images(frame, distance=4)
    assert groups[0] == groups[1] == groups[2] == groups[3] != groups[4]


def test_one_seed_gives_one_split_and_another_seed_another():
    labels, groups = np.array(["a", "b"] * 50), np.arange(100)
    first, same, other = (split_images(labels, groups, seed) for seed in (1, 1, 2))
    assert (first == same).all()
    assert (first != other).any()
    assert dict(zip(*np.unique(first, return_counts=True), strict=True)) == {
        "test": 20,
        "train": 64,
        "validation": 16,
    }


def test_data_that_has_a_split_is_taken_as_it_is(tmp_path: Path):
    source = draw_colours(tmp_path / "photos")
    images = find(source)
    assert images.path == source
    assert images.groups is None
    assert images.counts("test") == {"blue": 12, "red": 12}
    assert not (tmp_path / "written").exists()


def test_a_csv_without_a_split_gets_one_and_its_patients_are_found(folder: Path):
    rows = [
        {"file": f"photos/{path.parent.name}/{path.name}", "class": path.parent.name, "person": "x"}
        for path in folder.glob("*/*.png")
    ]
    for number, row in enumerate(rows):
        row["person"] = str(number // 4)
    source = folder.parent / "list.csv"
    pd.DataFrame(rows).to_csv(source, index=False)
    images = find(source, "person")
    assert splits_of_patients(pd.read_csv(images.path, dtype=str)) == [1] * 10


def test_files_that_cannot_be_read_are_left_out_and_counted(folder: Path):
    (folder / "ill" / "broken.png").write_bytes(b"not an image")
    images = find(folder)
    assert images.unreadable == 1
    assert "broken" not in images.path.read_text()


@pytest.mark.parametrize(
    ("patient", "message"),
    [
        ("persn", "neither a column nor a pattern with one group"),
        ("^(X[0-9]+)_", "neither a column nor a pattern with one group"),
        ("(", "cannot be read as a pattern"),
    ],
)
def test_a_patient_that_is_neither_column_nor_pattern_is_refused(
    folder: Path, patient: str, message: str
):
    with pytest.raises(PupilaError, match=message):
        find(folder, patient)


def test_too_few_images_of_a_class_are_refused(folder: Path):
    for path in sorted((folder / "ill").iterdir())[7:]:
        path.unlink()
    with pytest.raises(PupilaError, match=r"24 of 'well', 7 of 'ill'.*10 images or more each"):
        find(folder)


def test_a_folder_without_folders_of_classes_is_refused(folder: Path):
    with pytest.raises(PupilaError, match=r"Expected a folder for each class.*ill/CLASS"):
        find(folder / "ill")
    with pytest.raises(PupilaError, match="No images at"):
        find(folder / "nowhere")


def test_files_of_a_csv_that_are_missing_are_named(folder: Path):
    source = folder.parent / "list.csv"
    source.write_text("path,label\nphotos/ill/nothing.png,ill\n")
    with pytest.raises(PupilaError, match=r"1 of the 1 files .* missing, first .*nothing\.png"):
        find(source)
    source.write_text("picture,label\nx.png,ill\n")
    with pytest.raises(PupilaError, match=r"Expected one of path, file, filename"):
        find(source)
