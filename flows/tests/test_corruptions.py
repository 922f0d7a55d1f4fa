"""Altered images: pictures as of a bad day, which a filter should still accept."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import picture, red_and_green, scanned
from PIL import Image

from pupila.shift import FAMILIES
from pupila.testing import ignore_progress
from pupila_flows.data.generated import atomic_folder
from pupila_flows.data.open_set.corruptions import ALTERATIONS, list_altered, write_altered
from pupila_flows.jobs.corruptions import MakeCorruptions
from pupila_flows.jobs.hard_negatives import MakeHardNegatives
from pupila_flows.jobs.image_folder import ImageFolderJob
from pupila_flows.recipe.schema import HardNegativesSection
from pupila_flows.workspace import Workspace


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return red_and_green(tmp_path)


def test_every_image_is_altered_in_every_way(tmp_path: Path):
    paths = [picture(tmp_path / f"{n}.png", (190, 80, 30), seed=n) for n in range(2)]
    write_altered(paths, tmp_path / "altered", ignore_progress)
    files = list_altered(tmp_path / "altered")
    assert [name for _, name, _ in files] == [name for name in ALTERATIONS for _ in paths]
    assert set(FAMILIES) - set(ALTERATIONS) == {"fourier"}, "it needs another image"
    sizes = {name: Image.open(file).size for file, name, _ in files}
    assert sizes.pop("turned by 90°") == (48, 56) and set(sizes.values()) == {(56, 48)}
    before = {file: Path(file).read_bytes() for file, _, _ in files}
    write_altered(paths, tmp_path / "altered", ignore_progress)
    assert before == {
        file: Path(file).read_bytes() for file, _, _ in list_altered(tmp_path / "altered")
    }


def test_large_images_are_made_smaller_first(tmp_path: Path):
    path = tmp_path / "a.png"
    Image.new("RGB", (1500, 750), (190, 80, 30)).save(path)
    write_altered([path], tmp_path / "altered", ignore_progress)
    sizes = {name: Image.open(file).size for file, name, _ in list_altered(tmp_path / "altered")}
    assert sizes.pop("turned by 90°") == (256, 512) and set(sizes.values()) == {(512, 256)}


@pytest.mark.parametrize("side", [1, 2])
def test_images_of_a_few_pixels_are_altered_too(tmp_path: Path, side: int):
    path = tmp_path / "a.png"
    Image.new("RGB", (side, 1), (190, 80, 30)).save(path)
    write_altered([path], tmp_path / "altered", ignore_progress)
    assert len(list_altered(tmp_path / "altered")) == len(ALTERATIONS)


def test_a_folder_that_is_not_finished_is_not_there_and_leaves_nothing(tmp_path: Path):
    picture(tmp_path / ".made-0123" / "0" / "a.png", (1, 2, 3))  # of a process that was killed
    picture(tmp_path / ".other-0123" / "0" / "a.png", (1, 2, 3))
    with pytest.raises(ValueError, match="amid"), atomic_folder(tmp_path / "made") as draft:
        (draft / "a").write_text("a")
        raise ValueError("amid")
    assert [entry.name for entry in tmp_path.iterdir()] == [".other-0123"]
    with atomic_folder(tmp_path / "made") as draft:
        (draft / "a").write_text("a")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".other-0123", "made"]


@pytest.mark.parametrize("kind", ["negatives", "altered"])
def test_made_images_are_made_again_where_one_is_lost(data: Path, kind: str):
    dataset = scanned(data)
    workspace = Workspace.at(data.parent / "workspace")

    def planned() -> ImageFolderJob:
        if kind == "altered":
            return MakeCorruptions.of(workspace, dataset.select("test"))
        section = HardNegativesSection(label="other", images=6)
        return MakeHardNegatives.of(workspace, dataset.select("train"), section, seed=7)

    job = planned()
    made = job.run(ignore_progress)
    assert f"pillow {version('pillow')}" in job.identity()["code"]
    assert planned().key == job.key and planned().is_intact(made)
    next(made.folder.glob("*/*")).unlink()
    assert planned().key == job.key and not planned().is_intact(made)
    assert planned().is_intact(planned().run(ignore_progress))


Pixels = NDArray[np.float64]


def _is_another_exposure(was: Pixels, now: Pixels) -> bool:
    return bool(now.mean() < 0.55 * was.mean() or now.mean() > 1.5 * was.mean())


def _is_smoother(was: Pixels, now: Pixels) -> bool:
    return bool((now.std(axis=(0, 1)) < 0.8 * was.std(axis=(0, 1))).all())


def _is_grey(was: Pixels, now: Pixels) -> bool:
    return was.shape == now.shape and bool((np.ptp(now, axis=2) == 0).all())


def _is_mirrored(was: Pixels, now: Pixels) -> bool:
    return np.array_equal(was[:, ::-1], now)


def _is_turned(was: Pixels, now: Pixels) -> bool:
    return np.array_equal(np.rot90(was), now)


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("blur", _is_smoother),
        ("exposure", _is_another_exposure),
        ("grey", _is_grey),
        ("mirrored", _is_mirrored),
        ("turned by 90°", _is_turned),
    ],
)
def test_an_alteration_does_what_it_says(
    tmp_path: Path, name: str, holds: Callable[[Pixels, Pixels], bool]
):
    image = np.asarray(Image.open(picture(tmp_path / "a.png", (120, 80, 50))))
    changed = ALTERATIONS[name](image, np.random.default_rng(0))
    assert holds(image.astype(np.float64), changed.astype(np.float64))
