"""Near misses: pictures of other kinds that a filter must not accept."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pictures import picture

from pupila import PupilaError
from pupila_flows.data.open_set import near_misses
from pupila_flows.data.open_set.reading import read_near_misses


def test_a_folder_of_folders_is_a_group_each(tmp_path: Path):
    for name in ("moon/a.png", "moon/deep/b.png", "orange/c.png"):
        picture(tmp_path / "near" / name, (200, 120, 20))
    (tmp_path / "near" / "moon" / "notes.txt").write_text("no image")
    dataset = read_near_misses(tmp_path / "near", ("eye", "other"), tmp_path / "cache")
    assert sorted(dataset.frame["label"]) == ["moon", "moon", "orange"]
    assert set(dataset.frame["split"]) == {"test"}
    assert all(path.is_file() for path in dataset.paths)


def test_a_csv_names_the_groups(tmp_path: Path):
    picture(tmp_path / "images" / "a.png", (200, 120, 20))
    (tmp_path / "near.csv").write_text("group,path\nmoon,images/a.png\n")
    assert near_misses.list_near_misses(tmp_path / "near.csv") == [
        (str(tmp_path / "images" / "a.png"), "moon")
    ]


def _loose(root: Path) -> Path:
    picture(root / "a.png", (1, 2, 3))
    return root


def _empty_group(root: Path) -> Path:
    picture(root / "moon" / "a.png", (1, 2, 3))
    (root / "orange").mkdir()
    return root


def _named_all(root: Path) -> Path:
    picture(root / "all" / "a.png", (1, 2, 3))
    return root


def _nothing(root: Path) -> Path:
    root.mkdir()
    return root


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_loose, "1 images lie directly .* have no group"),
        (_empty_group, "orange' has no image"),
        (_nothing, "has no images: expected a folder"),
        (_named_all, "has a group 'all', which is the name of all groups together: rename it"),
    ],
)
def test_near_misses_in_no_groups_are_refused(
    tmp_path: Path, make: Callable[[Path], Path], said: str
):
    with pytest.raises(PupilaError, match=said):
        near_misses.list_near_misses(make(tmp_path / "near"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,grop\na.png,moon\n", "no column 'group'.*grop"),
        ("path,group\na.png,\n", "line 2: 'a.png' has no group"),
        ("path,group\nb.png,moon\n", "line 2: 'b.png' does not exist"),
        ("path,group\n", "has no images"),
        ("path,group\na.png,all\n", "has a group 'all'"),
        ("path,group\n" + "b" * 300 + ".png,moon\n", "line 2: 'bbb"),
        (
            "path,group\na.png,moon\n./a.png,orange\n",
            "line 3: './a.png' is listed a second time, after line 2",
        ),
    ],
)
def test_a_csv_of_near_misses_says_what_is_wrong_with_it(tmp_path: Path, text: str, said: str):
    picture(tmp_path / "a.png", (1, 2, 3))
    (tmp_path / "near.csv").write_text(text)
    with pytest.raises(PupilaError, match=said):
        near_misses.list_near_misses(tmp_path / "near.csv")


def test_a_file_that_is_not_a_csv_is_refused(tmp_path: Path):
    with pytest.raises(PupilaError, match="is not a CSV in UTF-8"):
        near_misses.list_near_misses(picture(tmp_path / "a.png", (200, 120, 20)))


@pytest.mark.parametrize("closed", ["", "moon", "moon/deep"])
def test_a_folder_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str
):
    picture(tmp_path / "near" / "moon" / "deep" / "a.png", (1, 2, 3))
    picture(tmp_path / "near" / "moon" / "b.png", (1, 2, 3))
    listed, refused = Path.iterdir, tmp_path / "near" / closed

    def iterdir(folder: Path) -> Iterator[Path]:
        if folder == refused:
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(PupilaError, match=f"'{refused}' cannot be read: Permission denied"):
        near_misses.list_near_misses(tmp_path / "near")


def test_hidden_files_and_folders_are_not_near_misses(tmp_path: Path):
    for name in ("moon/a.png", "moon/._a.png", "moon/.trash/b.png", ".trash/c.png"):
        picture(tmp_path / name, (1, 2, 3))
    assert near_misses.list_near_misses(tmp_path) == [(str(tmp_path / "moon" / "a.png"), "moon")]


def test_an_unreadable_near_miss_is_named(tmp_path: Path):
    picture(tmp_path / "near" / "moon" / "a.png", (1, 2, 3))
    (tmp_path / "near" / "moon" / "b.png").write_bytes(b"no image")
    with pytest.raises(PupilaError, match=r"1 of the 2 near misses cannot be read, .*b\.png"):
        read_near_misses(tmp_path / "near", ("eye", "other"), tmp_path / "cache")


def test_the_near_misses_of_the_example_are_groups_of_varied_images(tmp_path: Path):
    pytest.importorskip("skimage")
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "near_misses.py"))
    example["write_groups"](tmp_path / "near", images=2, seed=3)
    images = near_misses.list_near_misses(tmp_path / "near")
    groups = {group for _, group in images}
    assert groups >= {"external-eye", "moon", "oct-scan", "orange", "photograph", "skin-lesion"}
    contents = [Path(file).read_bytes() for file, _ in images]
    assert len(set(contents)) == len(contents)
    moons = [example["DRAWN"]["moon"](np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(moons[0], moons[1])
    assert moons[0].shape != moons[2].shape or not np.array_equal(moons[0], moons[2])
