"""Hard negatives: images made from the training images, so that a filter learns no shortcut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import red_and_green, scanned
from PIL import Image

from pupila import PupilaError
from pupila.dataset import Dataset
from pupila.testing import ignore_progress
from pupila_flows.data import exclude
from pupila_flows.data.frames import read_dataset, write_frame
from pupila_flows.data.hard_negatives.kinds import KINDS
from pupila_flows.data.hard_negatives.writing import (
    add_negatives,
    check_label,
    list_negatives,
    write_negatives,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return red_and_green(tmp_path)


def test_a_hard_negative_that_cannot_be_read_is_reported(data: Path):
    dataset, folder = scanned(data), data.parent / "made"
    write_negatives(dataset.select("train"), "other", 5, 7, folder, ignore_progress)
    (folder / "disc" / "00002.jpg").write_bytes(b"no image")
    with pytest.raises(PupilaError, match=r"1 of the 5 hard negatives .*00002\.jpg.*made again"):
        add_negatives(dataset, folder, "other", 7)


def test_hard_negatives_are_training_images_of_every_kind(data: Path):
    dataset = scanned(data)
    folder = data.parent / "made"
    write_negatives(dataset.select("train"), "other", 12, 7, folder, ignore_progress)
    both, check = add_negatives(dataset, folder, "other", 7)
    made = both.frame[both.frame["source"].astype("str").str.startswith("made-")]
    assert len(both) == len(dataset) + 12
    assert set(made["split"]) == {"train"} and set(made["label"]) == {"other"}
    assert set(made["source"]) == {f"made-{kind}" for kind in KINDS}
    assert set(made["patient"]) == {""} and set(made["error"]) == {""}
    assert set(zip(made["width"], made["height"], strict=True)) == {(56, 48)}
    assert (
        check.passed and "12 training images of 'other' were made: 3 recoloured" in check.observed
    )


def test_the_rest_of_the_data_stays_as_it_was_and_all_of_it_can_be_handed_on(data: Path):
    dataset = scanned(data)
    write_negatives(dataset.select("train"), "other", 5, 7, data.parent / "made", ignore_progress)
    both, _ = add_negatives(dataset, data.parent / "made", "other", 7)
    for split in ("validation", "test"):
        assert both.select(split).fingerprint == dataset.select(split).fingerprint
    assert both.fingerprint != dataset.fingerprint
    file = write_frame(both.frame, data.parent)
    assert read_dataset(file, list(both.classes), both.cache).fingerprint == both.fingerprint


def test_a_hard_negative_knows_the_two_images_that_it_was_made_from(data: Path):
    dataset, folder = scanned(data), data.parent / "made"
    write_negatives(dataset.select("train"), "other", 10, 7, folder, ignore_progress)
    both, _ = add_negatives(dataset, folder, "other", 7)
    path_of = dict(zip(dataset.frame["sha256"], dataset.paths, strict=True))
    made = both.frame[both.frame["source"] == "made-recoloured"].to_dict("records")
    assert len(made) == 2
    for row in made:
        parents = (Image.open(path_of[sha]) for sha in row["made_from"].split())
        own, other = (np.asarray(parent, np.float32) for parent in parents)
        again = KINDS["recoloured"](own, other, np.random.default_rng(0))
        pixels = np.asarray(Image.open(row["path"]), np.float32)
        grey = [np.clip(image, 0, 255).mean(axis=2).ravel() for image in (again, pixels)]
        assert np.corrcoef(*grey)[0, 1] > 0.7  # the noise of every image is its own


def test_what_was_made_from_an_image_that_is_left_out_is_left_out_too(data: Path):
    dataset, folder = scanned(data), data.parent / "made"
    write_negatives(dataset.select("train"), "other", 40, 7, folder, ignore_progress)
    both, _ = add_negatives(dataset, folder, "other", 7)
    whole_discs = dataset.frame[dataset.frame["source"] == "disc"]["sha256"].tolist()
    for shown in (
        exclude.images_for_step(both, {"source": ("disc",)}),
        exclude.images_for_step(
            read_dataset(write_frame(both.frame, data.parent), list(both.classes), both.cache),
            {"source": ("disc",)},
        ),
    ):
        made = shown.frame[shown.frame["made_from"] != ""]
        assert 0 < len(made) < 40
        parents = {sha for texts in made["made_from"] for sha in texts.split()}
        assert parents.isdisjoint(whole_discs)
        left = both.frame[both.frame["made_from"] != ""]["made_from"]
        assert len(made) == sum(set(texts.split()).isdisjoint(whole_discs) for texts in left)
    assert len(exclude.images_for_step(both, {})) == len(both.without("test"))


def test_the_seed_makes_the_images_and_another_makes_others(data: Path):
    train = scanned(data).select("train")
    folders = [data.parent / name for name in ("a", "b", "c")]
    for folder, seed in zip(folders, (7, 7, 8), strict=True):
        write_negatives(train, "other", 5, seed, folder, ignore_progress)
    contents = [
        [Path(file).read_bytes() for file, _ in list_negatives(folder)] for folder in folders
    ]
    assert contents[0] == contents[1] != contents[2]


def test_recoloured_images_have_the_colours_of_the_other_class(data: Path):
    dataset = scanned(data)
    write_negatives(dataset.select("train"), "other", 5, 7, data.parent / "made", ignore_progress)
    both, _ = add_negatives(dataset, data.parent / "made", "other", 7)
    (row,) = both.frame[both.frame["source"] == "made-recoloured"].to_dict("records")
    assert (row["mean_red"], row["mean_green"]) == (
        pytest.approx(190, abs=8),
        pytest.approx(80, abs=8),
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(8, 8), (40, 71), (120, 30)])
def test_a_kind_draws_finite_pixels_of_the_size_it_is_given(kind: str, shape: tuple[int, int]):
    random = np.random.default_rng(0)
    for seed in range(6):
        own = random.uniform(0, 255, (*shape, 3)).astype(np.float32)
        other = np.zeros((30, 30, 3), np.float32) if seed == 5 else own[::-1] / 2
        made = KINDS[kind](own, other, np.random.default_rng(seed))
        assert made.shape == own.shape
        assert np.isfinite(made).all()


def test_there_must_be_another_class_to_take_colours_from(data: Path):
    dataset = scanned(data)
    with pytest.raises(PupilaError, match="of that class and of another"):
        check_label("moon", dataset)
    only = dataset.frame[(dataset.frame["label"] == "other") | (dataset.frame["split"] == "test")]
    with pytest.raises(PupilaError, match=r"the training images are of \['other'\]"):
        check_label("other", Dataset.of(only, dataset.classes, dataset.cache))
