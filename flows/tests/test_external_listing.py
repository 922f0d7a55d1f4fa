"""External images may come in any form in which a hospital has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pupila.errors import PupilaError
from pupila_flows.data.external.listing import Listing, class_of, list_images

CLASSES = ("glaucoma", "normal")


def _files(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def _labels(listing: Listing) -> dict[str, str]:
    return {Path(row["path"]).name: row["label"] for row in listing.rows}


@pytest.mark.parametrize(
    ("files", "split", "labels"),
    [
        pytest.param(
            ("glaucoma/a.jpg", "normal/b.png"),
            None,
            {"a.jpg": "glaucoma", "b.png": "normal"},
            id="a folder for each class",
        ),
        pytest.param(
            ("test/Glaucoma/a.jpg", "test/NORMAL/deep/b.jpg"),
            None,
            {"a.jpg": "glaucoma", "b.jpg": "normal"},
            id="`test` alone, names in any case",
        ),
        pytest.param(
            ("train/normal/a.jpg", "val/glaucoma/b.jpg", "test/normal/c.jpg"),
            "validation",
            {"b.jpg": "glaucoma"},
            id="a split that is named",
        ),
        pytest.param(("glaucoma/a.jpg",), None, {"a.jpg": "glaucoma"}, id="one class alone"),
        pytest.param(("a.jpg", "b.jpg"), None, {"a.jpg": "", "b.jpg": ""}, id="images alone"),
        pytest.param(
            ("test/a.jpg", "train/b.jpg"), None, {"a.jpg": ""}, id="images alone, in splits"
        ),
        pytest.param(
            ("POAG/a.jpg", "Healthy/b.jpg", ".cache/c.jpg", "POAG/notes.txt"),
            None,
            {"a.jpg": "glaucoma", "b.jpg": "normal"},
            id="other names, by the map",
        ),
    ],
)
def test_a_folder_is_read_as_it_is(
    tmp_path: Path, files: tuple[str, ...], split: str | None, labels: dict[str, str]
):
    listing = list_images(_files(tmp_path / "there", *files)).of_split(split)
    renamed = {"poag": "glaucoma", "healthy": "normal"}
    assert _labels(listing.with_classes(CLASSES, renamed)) == labels


@pytest.mark.parametrize(
    ("text", "split", "labels"),
    [
        (
            "path,label\na.jpg,Normal\nb.jpg,glaucoma\n",
            None,
            {"a.jpg": "normal", "b.jpg": "glaucoma"},
        ),
        ("path\na.jpg\n", None, {"a.jpg": ""}),
        ("path,split,width\na.jpg,train,9\nb.jpg,test,9\n", None, {"b.jpg": ""}),
        ("path,split\na.jpg,2024\nb.jpg,2025\n", "2024", {"a.jpg": ""}),
        ("path,label,split\na.jpg,normal,val\nb.jpg,,test\n", "validation", {"a.jpg": "normal"}),
    ],
)
def test_a_csv_needs_no_more_than_paths(
    tmp_path: Path, text: str, split: str | None, labels: dict[str, str]
):
    (tmp_path / "there.csv").write_text(text)
    listing = list_images(tmp_path / "there.csv").of_split(split).with_classes(CLASSES, {})
    assert _labels(listing) == labels
    assert all("width" not in row for row in listing.rows)


def test_files_of_a_csv_may_lie_in_another_folder(tmp_path: Path):
    (tmp_path / "there.csv").write_text("path\nimages/a.jpg\n")
    (row,) = list_images(tmp_path / "there.csv", tmp_path / "crops").rows
    assert row["path"] == str(tmp_path / "crops" / "a.jpg")


@pytest.mark.parametrize(
    ("files", "text", "split", "message"),
    [
        pytest.param((), None, None, "No images at", id="nothing there"),
        pytest.param(("notes.txt",), None, None, "has no images: expected", id="no image"),
        pytest.param(
            ("a.jpg", "normal/b.jpg"), None, None, "1 images and folders", id="both in one"
        ),
        pytest.param(("a.jpg", "test/b.jpg"), None, None, "beside the folders", id="in no split"),
        pytest.param(
            ("train/normal/a.jpg",),
            None,
            None,
            "no images of the split 'test'; it has train",
            id="x",
        ),
        pytest.param(("normal/a.jpg",), None, "test", "has no splits", id="no splits"),
        pytest.param(
            ("nornal/a.jpg",), None, None, "labelled 'nornal'.*Did you mean 'normal'", id="misspelt"
        ),
        pytest.param((), "file\na.jpg\n", None, "no column 'path'", id="no path"),
        pytest.param((), "path\na.jpg\na.jpg\n", None, "line 3: .* second time", id="twice"),
        pytest.param(
            (), "path,label\na.jpg,normal\nb.jpg,\n", None, "1 of 2 .* no label", id="some"
        ),
        pytest.param((), "path,split\na.jpg,\n", None, "line 2 has no split", id="no split"),
        pytest.param((), "path,label\na.jpg\n", None, "line 2 has 1 fields", id="short"),
        pytest.param((), "path\n", None, "has no images", id="no line"),
    ],
)
def test_what_cannot_be_understood_is_refused(
    tmp_path: Path, files: tuple[str, ...], text: str | None, split: str | None, message: str
):
    there = tmp_path / ("there.csv" if text is not None else "there")
    if text is not None:
        there.write_text(text)
    _files(there, *files)
    with pytest.raises(PupilaError, match=message):
        list_images(there).of_split(split).with_classes(CLASSES, {})


@pytest.mark.parametrize(
    ("label", "name"),
    [("NORMAL", "normal"), (" normal ", "normal"), ("POAG", "glaucoma"), ("other", None)],
)
def test_a_label_means_a_class(label: str, name: str | None):
    assert class_of(label, CLASSES, {"poag": "Glaucoma"}) == name
