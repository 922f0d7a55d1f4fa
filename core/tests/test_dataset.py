"""A dataset is known by its contents, and its pixels are computed once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from pupila import Dataset, InputSpec, PupilaError, manifest

CONTRACT = InputSpec(height=8, width=6)


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def ignore(done: int, total: int, what: str) -> None:
    del done, total, what


def dataset(root: Path) -> Dataset:
    cache = root.parent / "cache"
    return Dataset.of(manifest.scan(manifest.read(root), cache, ignore), ("ill", "well"), cache)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "eyes"
    for seed in range(8):
        split, label = ("train", "test")[seed % 2], ("ill", "well")[seed // 4]
        draw(root / split / label / f"{seed}.png", seed)
    return root


def test_the_fingerprint_depends_on_contents_and_not_on_paths(tree: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "pictures"
    shutil.copytree(tree, moved)
    for number, file in enumerate(sorted(moved.rglob("*.png"), reverse=True)):
        file.rename(file.with_name(f"renamed_{number}.png"))
    assert dataset(moved).fingerprint == dataset(tree).fingerprint


def test_a_csv_of_the_same_images_has_the_same_fingerprint(tree: Path) -> None:
    files = tree.rglob("*.png")
    rows = [f"{file.relative_to(tree.parent)},{file.parts[-2]},{file.parts[-3]}" for file in files]
    (tree.parent / "eyes.csv").write_text("\n".join(["path,label,split", *rows]))
    assert dataset(tree.parent / "eyes.csv").fingerprint == dataset(tree).fingerprint


def test_touching_a_file_does_not_change_the_fingerprint(tree: Path) -> None:
    before = dataset(tree).fingerprint
    os.utime(tree / "train" / "ill" / "0.png", ns=(0, 1))
    assert dataset(tree).fingerprint == before


@pytest.mark.parametrize("change", ["content", "label", "split", "removal"])
def test_every_change_of_the_data_changes_the_fingerprint(tree: Path, change: str) -> None:
    before = dataset(tree).fingerprint
    file = tree / "train" / "ill" / "0.png"
    if change == "content":
        draw(file, 99)
    elif change == "label":
        file.rename(tree / "train" / "well" / "0.png")
    elif change == "split":
        file.rename(tree / "test" / "ill" / "0.png")
    else:
        file.unlink()
    assert dataset(tree).fingerprint != before


def test_rows_are_in_an_order_that_ignores_paths(tree: Path) -> None:
    before = dataset(tree)
    (tree / "test" / "ill" / "1.png").rename(tree / "test" / "ill" / "zzz.png")
    assert dataset(tree).frame["sha256"].tolist() == before.frame["sha256"].tolist()


def test_a_split_is_selected_with_its_labels(tree: Path) -> None:
    test = dataset(tree).select("test")
    assert len(test) == 4
    assert [path.parent.name for path in test.paths] == [test.classes[n] for n in test.labels]
    with pytest.raises(PupilaError, match="no split 'validation'; it has: train, test"):
        dataset(tree).select("validation")


def add_unlabelled(tree: Path) -> Dataset:
    for seed in (90, 91, 92):
        draw(tree / "unlabelled" / f"{seed}.png", seed)
    return dataset(tree)


def test_unlabelled_images_have_label_minus_one(tree: Path) -> None:
    whole = add_unlabelled(tree)
    assert whole.splits == ("train", "test", "unlabelled")
    assert whole.select("unlabelled").labels.tolist() == [-1, -1, -1]
    expected = [whole.classes.index(name) if name else -1 for name in whole.frame["label"]]
    assert whole.labels.tolist() == expected


def test_a_labelled_image_without_a_label_is_refused(tree: Path) -> None:
    whole = dataset(tree)
    frame = whole.frame.astype({"label": str})
    frame.loc[0, "label"] = ""
    with pytest.raises(PupilaError, match="images labelled '', but"):
        _ = Dataset(frame, whole.classes, whole.cache).labels


def test_several_splits_are_selected_in_the_order_of_the_whole(tree: Path) -> None:
    whole = add_unlabelled(tree)
    both = whole.select("unlabelled", "train")
    assert both.splits == ("train", "unlabelled")
    everything = whole.frame[whole.frame["split"] != "test"]
    assert both.frame["path"].tolist() == everything["path"].tolist()
    assert both.fingerprint == whole.select("train", "unlabelled").fingerprint
    assert both.fingerprint == whole.without("test").fingerprint
    with pytest.raises(PupilaError, match="no split 'validation'; it has: train, test, unlabelled"):
        whole.select("train", "validation")


def test_the_rest_without_a_split_does_not_depend_on_that_split(tree: Path) -> None:
    before = dataset(tree).without("test")
    draw(tree / "test" / "well" / "new.png", seed=99)
    after = dataset(tree).without("test")
    assert set(before.frame["split"]) == {"train"}
    assert before.fingerprint == after.fingerprint
    assert before.fingerprint != dataset(tree).fingerprint


def test_an_unknown_label_is_refused_with_the_nearest_class(tree: Path) -> None:
    whole = dataset(tree)
    misspelt = Dataset(whole.frame, ("ill", "wel"), whole.cache)
    with pytest.raises(PupilaError, match=r"labelled 'well'.*Did you mean 'wel'\?"):
        _ = misspelt.labels


def test_pixels_are_the_resized_images_and_are_computed_once(tree: Path) -> None:
    whole = dataset(tree)
    pixels = whole.pixels(CONTRACT)
    assert pixels.shape == (8, 8, 6, 3)
    np.testing.assert_array_equal(pixels[5], whole.image(5, CONTRACT))
    shutil.rmtree(tree)
    np.testing.assert_array_equal(np.asarray(whole.pixels(CONTRACT)), np.asarray(pixels))


def test_an_interrupted_computation_of_pixels_leaves_nothing_to_read(tree: Path) -> None:
    whole = dataset(tree)
    broken = whole.paths[-1]
    good = broken.read_bytes()
    broken.write_bytes(good[:200])
    with pytest.raises(PupilaError, match=broken.name):
        whole.pixels(CONTRACT)
    broken.write_bytes(good)
    assert whole.pixels(CONTRACT).shape == (8, 8, 6, 3)


def test_each_image_without_a_patient_counts_as_a_separate_patient(tmp_path: Path):
    def patients(values: list[str | None]) -> NDArray[np.str_] | None:
        return Dataset(pd.DataFrame({"patient": values}), ("no", "yes"), tmp_path).patients

    known = patients(["a", None, "a", "", "b"])
    assert known is not None
    assert len(set(known.tolist())) == 4 and known[0] == known[2]
    assert patients(["", None]) is None
    assert Dataset(pd.DataFrame({"path": ["1.png"]}), ("no", "yes"), tmp_path).patients is None
