"""Folders and CSV manifests: what is read, what is refused, and what a scan caches."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from pupila import images, manifest, scanning
from pupila.errors import PupilaError
from pupila.image_stats import HASH_BITS


def ignore(done: int, total: int, what: str) -> None:
    del done, total, what


def draw(path: Path, seed: int = 0, size: tuple[int, int] = (40, 32)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "eyes"
    for number, split in enumerate(("train", "val", "test")):
        for label in ("ill", "well"):
            draw(root / split / label / f"{number}.png", number)
    return root


def write_csv(folder: Path, text: str | bytes) -> Path:
    draw(folder / "a.png", 1)
    draw(folder / "b.png", 2)
    path = folder / "eyes.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# Folders ---------------------------------------------------------------------------------------


def test_a_tree_is_listed_by_split_and_class(tree: Path) -> None:
    frame = manifest.read(tree)
    assert len(frame) == 6
    assert frame["path"].is_monotonic_increasing
    assert set(frame["split"]) == {"train", "validation", "test"}
    row = frame[frame["path"] == str(tree / "val" / "ill" / "1.png")].iloc[0]
    assert (row["split"], row["label"]) == ("validation", "ill")


def test_other_files_are_counted_and_left_out(tree: Path) -> None:
    for name in ("Thumbs.db", ".DS_Store", "notes.txt", "._0.png", "noSuffix"):
        (tree / "train" / "ill" / name).touch()
    draw(tree / "train" / "ill" / ".ipynb_checkpoints" / "0-checkpoint.png")
    (tree / ".git").mkdir()
    frame = manifest.read(tree)
    assert len(frame) == 6
    assert frame.attrs["left_out"] == {".db": 1, ".txt": 1, "": 1}


def test_folders_below_a_class_belong_to_it_and_suffixes_may_be_capitals(tree: Path) -> None:
    draw(tree / "train" / "ill" / "clinic_2" / "1.JPG")
    assert (manifest.read(tree)["label"] == "ill").sum() == 4


@pytest.mark.parametrize("name", ["unlabelled", "unlabeled"])
def test_unlabelled_images_lie_at_any_depth_and_have_no_class(tree: Path, name: str) -> None:
    draw(tree / name / "7.png")
    draw(tree / name / "ill" / "deeper" / "8.png")
    (tree / name / "notes.txt").touch()
    frame = manifest.read(tree)
    unlabelled = frame[frame["split"] == "unlabelled"]
    assert [Path(path).name for path in unlabelled["path"]] == ["7.png", "8.png"]
    assert unlabelled["label"].tolist() == ["", ""]
    assert (len(frame), frame.attrs["left_out"]) == (8, {".txt": 1})


def rename_split(tree: Path) -> None:
    (tree / "test").rename(tree / "tset")


def misspell_unlabelled(tree: Path) -> None:
    draw(tree / "unlabled" / "a.png")


def remove_splits(tree: Path) -> None:
    for label in ("ill", "well"):
        (tree / "train" / label).rename(tree / label)
    for split in ("train", "val", "test"):
        (tree / split).rename(tree.parent / split)


def misspell_only_split(tree: Path) -> None:
    remove_splits(tree)
    (tree / "ill").rename(tree / "trian")
    (tree / "well").rename(tree.parent / "well")


def put_image_beside_splits(tree: Path) -> None:
    draw(tree / "a.png")


def put_image_beside_classes(tree: Path) -> None:
    draw(tree / "train" / "a.png")


def rename_images(tree: Path) -> None:
    for file in list(tree.rglob("*.png")):
        file.rename(file.with_suffix(".dat"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (rename_split, r"tset' is not a split: expected .* Did you mean 'test'\?"),
        (
            misspell_unlabelled,
            r"unlabled' is not a split: .*unlabelled\. Did you mean 'unlabel+ed'\?",
        ),
        (remove_splits, r"no split folders: found 'ill', 'well'. Expected train/<class>/\*"),
        (misspell_only_split, r"found 'trian'.* Did you mean 'train'\?"),
        (put_image_beside_splits, "1 images lie directly in .*eyes', so they have no split"),
        (put_image_beside_classes, "1 images lie directly in .*train', so they have no class"),
        (rename_images, "No images under .*eyes': its folders hold 6 files .6 .dat., none"),
    ],
)
def test_a_tree_of_another_form_is_refused_with_what_it_contains(
    tree: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(tree)
    with pytest.raises(PupilaError, match=message):
        manifest.read(tree)


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PupilaError, match=r"No data at .*nowhere': expected a folder"):
        manifest.read(tmp_path / "nowhere")


# CSV manifests ---------------------------------------------------------------------------------


def test_a_csv_is_read_with_its_other_columns(tmp_path: Path) -> None:
    text = "path,label,split,patient\nb.png,NA,valid,007\n\nsub/../a.png,ill,train,12\n"
    frame = manifest.read(write_csv(tmp_path, text))
    assert frame["path"].tolist() == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert frame["label"].tolist() == ["ill", "NA"]
    assert frame["split"].tolist() == ["train", "validation"]
    assert frame["patient"].tolist() == ["12", "007"]


@pytest.mark.parametrize("split", ["unlabelled", "unlabeled"])
@pytest.mark.parametrize("label", ["", " "])
def test_a_csv_leaves_the_label_of_an_unlabelled_image_empty(
    tmp_path: Path, split: str, label: str
) -> None:
    text = f"path,label,split\na.png,ill,train\nb.png,{label},{split}\n"
    frame = manifest.read(write_csv(tmp_path, text))
    assert frame["label"].tolist() == ["ill", ""]
    assert frame["split"].tolist() == ["train", "unlabelled"]


def test_a_csv_from_a_spreadsheet_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    text = "path,label,split\r\na.png,ill,train\r\n".encode("utf-8-sig")
    assert len(manifest.read(write_csv(tmp_path, text))) == 1


HEADER = "path,label,split\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "eyes.csv is empty: expected a header with path, label, split"),
        (HEADER, "lists no image"),
        ("path,Label,split\na.png,ill,train\n", "no column 'label'.*Did you mean 'Label'"),
        ("path;label;split\na.png;ill;train\n", "found 'path;label;split'.*separated by commas"),
        ("path,path,label,split\n", "column 'path' twice"),
        ("path,label,split,width\n", "column 'width', which is measured from the files"),
        (HEADER + "a.png,ill,tran\n", "line 2: unknown split 'tran'.*Did you mean 'train'"),
        (HEADER + "a.png,ill,train\nb.png,,train\n", "line 3 has no label: .*'unlabelled'"),
        (HEADER + ",ill,train\n", "line 2 has no path"),
        (HEADER + "a.png,ill, \n", "line 2 has no split"),
        (
            HEADER + "a.png,ill,train\nb.png,well,unlabelled\n",
            "line 3: an image of the split 'unlabelled' has the label 'well'. Put it into the "
            "split 'train', or leave its label empty",
        ),
        (HEADER + "a.png,ill\n", "line 2 has 2 fields: expected 3"),
        (HEADER + "a.png,ill,train\n./a.png,well,test\n", "line 3: './a.png' is listed a second"),
        (
            HEADER + "a.png,ill,train\nc.png,ill,train\n",
            "line 3: the file 'c.png' does not exist.*1 of 2",
        ),
        (HEADER + f"{'n' * 300}.png,ill,train\n", "line 2: the file 'nnn.*1 of 1 rows"),
        (HEADER.encode() + "a.png,gesünder,train\n".encode("latin-1"), "line 2 is not UTF-8"),
        (HEADER.encode("utf-16"), "line 1 is not UTF-8"),
        (HEADER + '"a.png"x,ill,train\n', "line 2 is not CSV"),
        (HEADER.replace("\n", "\r") + "a.png,ill,train\r", "its lines end with CR alone"),
        (HEADER + "train\\a.png,ill,train\n", "has '\\\\' between folders: write '/' instead"),
        (HEADER + "a\0.png,ill,train\n", "line 2 has a null byte in its path"),
        pytest.param(
            ",".join(map(str, range(100_000))),
            "found '0', .*'19' and 99,980 more; expected path",
            id="100,000 columns",
        ),
    ],
)
def test_a_csv_of_another_form_is_refused_by_line(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(PupilaError, match=message):
        manifest.read(write_csv(tmp_path, text))


# Scans -----------------------------------------------------------------------------------------


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files that are decoded during the test."""
    names: list[str] = []

    def noting(path: Path) -> Image.Image:
        names.append(path.name)
        return images.decode(path)

    monkeypatch.setattr(scanning, "decode", noting)
    return names


def scan(tree: Path) -> pd.DataFrame:
    return manifest.scan(manifest.read(tree), tree.parent / "cache", ignore)


def test_a_scan_measures_the_upright_image(tmp_path: Path) -> None:
    path = tmp_path / "eyes" / "train" / "ill" / "a.png"
    path.parent.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (50, 40), (200, 100, 50)).save(path, exif=exif)
    row = scan(tmp_path / "eyes").iloc[0]
    assert (row["width"], row["height"], row["bytes"]) == (40, 50, path.stat().st_size)
    assert (row["mean_red"], row["mean_green"], row["mean_blue"]) == (200, 100, 50)
    assert row["brightness"] == pytest.approx(0.299 * 200 + 0.587 * 100 + 0.114 * 50, abs=1)
    assert row["sharpness"] == 0
    assert row["error"] == ""
    assert len(row["sha256"]) == 64
    assert len(row["phash"]) == HASH_BITS // 4


def test_a_blurred_image_is_less_sharp_at_any_size(tree: Path) -> None:
    sharp = draw(tree / "train" / "ill" / "sharp.png", size=(600, 500))
    with Image.open(sharp) as image:
        image.filter(ImageFilter.GaussianBlur(8)).save(sharp.with_name("soft.png"))
    frame = scan(tree)
    by_name = frame.set_index(frame["path"].str.rsplit("/", n=1).str[-1])["sharpness"]
    assert by_name["soft.png"] < by_name["sharp.png"] / 50


def test_a_file_that_cannot_be_decoded_keeps_its_row_with_the_reason(tree: Path) -> None:
    bad = tree / "train" / "ill" / "0.png"
    bad.write_bytes(bad.read_bytes()[:-300])
    frame = scan(tree)
    assert len(frame) == 6
    row = frame[frame["path"] == str(bad)].iloc[0]
    assert "truncated" in row["error"]
    assert np.isnan(row["width"])
    assert len(row["sha256"]) == 64
    assert scan(tree).equals(frame)


def test_a_second_scan_opens_no_image(tree: Path, decoded: list[str]) -> None:
    first = scan(tree)
    assert len(decoded) == 6
    decoded.clear()
    assert scan(tree).equals(first)
    assert decoded == []


def test_a_new_time_alone_decodes_nothing_but_new_contents_are_decoded(
    tree: Path, decoded: list[str]
) -> None:
    first = scan(tree)
    decoded.clear()
    touched, changed = tree / "train" / "ill" / "0.png", tree / "test" / "well" / "2.png"
    os.utime(touched, ns=(0, 1))
    draw(changed, seed=9)
    second = scan(tree)
    assert decoded == ["2.png"]
    same = first["path"] != str(changed)
    assert second[same].equals(first[same])
    assert not second[~same].equals(first[~same])


def test_an_interrupted_scan_continues(
    tree: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "_CHUNK_IMAGES", 2)

    def interrupt(done: int, total: int, what: str) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        manifest.scan(manifest.read(tree), tree.parent / "cache", interrupt)
    decoded.clear()
    assert len(scan(tree)) == 6
    assert len(decoded) == 2


def test_the_frame_is_narrow(tree: Path) -> None:
    kinds = scan(tree).dtypes.astype(str)
    assert (kinds[["label", "split", "error"]] == "category").all()
    assert (kinds[["width", "height", "brightness", "mean_red"]] == "float32").all()


def test_acrima_is_the_same_by_folder_and_by_csv(shared_data: Path, tmp_path: Path) -> None:
    folder = manifest.read(shared_data / "glaucoma")
    listed = manifest.read(shared_data / "glaucoma.csv")
    assert len(folder) == 705
    assert listed[["path", "label", "split"]].equals(folder)
