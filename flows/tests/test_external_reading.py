"""Images of another place are not those of the run, and what cannot be read is named."""

from __future__ import annotations

from pathlib import Path
from shutil import copy

import pytest
from PIL import Image

from pupila.dataset import UNLABELLED, Dataset
from pupila.errors import PupilaError
from pupila.testing import draw_images
from pupila_flows.data.external.listing import list_images
from pupila_flows.data.external.reading import (
    ExternalImages,
    read_external,
    refuse_run_images,
    refuse_seen_images,
)
from pupila_flows.data.reading import read_data
from pupila_flows.data.training_images import TrainingImages


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("home")
    return read_data(draw_images(folder / "images"), None, folder / "cache")


def _there(folder: Path, home: Dataset) -> ExternalImages:
    listing = list_images(folder).of_split(None).with_classes(home.classes, {})
    return read_external("clinic-b", listing, home.classes, folder.parent / "cache")


def _noise(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((64, 64), 20 + 30 * seed).convert("RGB").save(path)
    return path


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize(
    ("saved", "said"),
    [("same.png", "1 the same files, 0 nearly"), ("near.jpg", "0 the same files, 1 nearly")],
)
def test_an_image_of_the_runs_own_data_is_refused_whatever_its_split(
    tmp_path: Path, home: Dataset, split: str, saved: str, said: str
):
    folder = tmp_path / "there"
    _noise(folder / home.classes[0] / "other.png", 1)
    own = home.select(split).paths[0]
    if saved.endswith(".png"):
        copy(own, folder / home.classes[0] / saved)
    else:
        Image.open(own).resize((90, 90)).save(folder / home.classes[0] / saved, quality=95)
    with pytest.raises(PupilaError, match=f"1 of the 2 images of 'clinic-b'.*{saved}.*{said}"):
        refuse_run_images(_there(folder, home), home, 4)


def test_images_that_a_teacher_was_trained_on_are_refused(tmp_path: Path, home: Dataset):
    folder = tmp_path / "there"
    _noise(folder / "a.png", 1)
    images = _there(folder, home)
    refuse_run_images(images, home, 4)
    refuse_seen_images(images, "teacher 'big'", None, 4)
    (sha256,), (phash,) = images.dataset.frame["sha256"], images.dataset.frame["phash"]
    known = TrainingImages(complete=True, images={sha256: phash})
    with pytest.raises(PupilaError, match=r"1 of the 1 images .* teacher 'big' was trained on"):
        refuse_seen_images(images, "teacher 'big'", known, 4)


def test_what_cannot_be_read_is_left_out_and_named(tmp_path: Path, home: Dataset):
    csv = tmp_path / "there.csv"
    _noise(tmp_path / "good.png", 1)
    (tmp_path / "bad.png").write_text("no image")
    csv.write_text("path\ngood.png\nbad.png\nmissing.png\n")
    images = _there(csv, home)
    assert [path.name for path in images.dataset.paths] == ["good.png"]
    assert [Path(image.path).name for image in images.skipped] == ["bad.png", "missing.png"]
    assert all(image.reason for image in images.skipped)
    assert not images.labelled
    assert images.dataset.splits == (UNLABELLED,)
    (tmp_path / "good.png").write_text("no image either")
    with pytest.raises(PupilaError, match="None of the 3 images"):
        _there(csv, home)
