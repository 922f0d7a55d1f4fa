from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pupila import Dataset, PupilaError, keras_files, manifest
from pupila.digest import digest_tree
from pupila_flows.data.synthetic import write_images, write_teacher
from pupila_flows.data.synthetic.eye import CLASSES, draw_eye
from pupila_flows.data.synthetic.folder import Position, photograph
from pupila_flows.data.synthetic.render import render
from pupila_flows.recipe.expectations import Bounds

FEW = {"train": 3, "validation": 1, "test": 2}
SIZE = 64


def quiet(done: int, total: int, what: str) -> None:
    del done, total, what


def breaks(done: int, total: int, what: str) -> None:
    """Stop as a user's Ctrl-C does, when a little is done."""
    if done == 3:
        raise KeyboardInterrupt(what, total)


def separation(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """Return the AUC of a score, whichever way it points: 0.5 to 1."""
    differences = np.sign(positive[:, None] - negative)
    return 0.5 + abs(float(differences.mean())) / 2


def pixels(position: Position, size: int = SIZE) -> NDArray[np.float64]:
    stored = Image.open(io.BytesIO(photograph(position, seed=0, size=size)))
    return np.asarray(stored, np.float64)


def names(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_images_lie_by_split_and_class_beside_a_readme(tmp_path: Path):
    write_images(tmp_path / "images", FEW, seed=1, progress=quiet, size=SIZE)
    assert names(tmp_path / "images") == {
        "README.txt",
        *(
            f"{split}/{label}/synthetic_{number:04}.jpg"
            for split, count in FEW.items()
            for label in ("glaucoma", "normal")
            for number in range(1, count + 1)
        ),
    }
    with Image.open(tmp_path / "images/test/normal/synthetic_0002.jpg") as image:
        assert (image.size, image.mode, image.format) == ((SIZE, SIZE), "RGB", "JPEG")


def test_the_readme_says_that_nothing_is_medical(tmp_path: Path):
    write_images(tmp_path, FEW, seed=1, progress=quiet, size=SIZE)
    readme = (tmp_path / "README.txt").read_text()
    assert "SYNTHETIC" in readme.splitlines()[0]
    assert "NOT MEDICAL" in readme.splitlines()[0]
    assert "show no patient" in readme


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(tmp_path: Path):
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        write_images(tmp_path / name, FEW, seed=seed, progress=quiet, size=SIZE)
    assert digest_tree(tmp_path / "one") == digest_tree(tmp_path / "same")
    images = sorted(names(tmp_path / "one") - {"README.txt"})
    contents = [
        (tmp_path / folder / name).read_bytes() for folder in ("one", "other") for name in images
    ]
    assert len(set(contents)) == 2 * len(images)


def test_an_image_does_not_depend_on_how_many_there_are(tmp_path: Path):
    write_images(tmp_path / "few", {"train": 1}, seed=1, progress=quiet, size=SIZE)
    write_images(tmp_path / "more", {"train": 2, "test": 1}, seed=1, progress=quiet, size=SIZE)
    name = "train/normal/synthetic_0001.jpg"
    assert (tmp_path / "few" / name).read_bytes() == (tmp_path / "more" / name).read_bytes()


def test_progress_counts_every_image(tmp_path: Path):
    updates: list[tuple[int, int]] = []
    write_images(
        tmp_path,
        FEW,
        seed=1,
        progress=lambda done, total, what: updates.append((done, total)),
        size=32,
    )
    assert updates == [(done, 12) for done in range(1, 13)]


def test_the_label_is_made_by_the_cup_to_disc_ratio():
    ratios = {
        label: np.array(
            [draw_eye(label, np.random.default_rng(seed)).cup_to_disc_ratio for seed in range(1000)]
        )
        for label in CLASSES
    }
    right = np.mean([np.mean(ratios["glaucoma"] > 0.56), np.mean(ratios["normal"] <= 0.56)])
    assert 0.95 < right < 0.99  # nearly, but not wholly: the task is not trivial


def test_nothing_but_the_cup_knows_the_label():
    for seed in range(20):
        one, other = (draw_eye(label, np.random.default_rng(seed)) for label in CLASSES)
        assert repr(replace(one, cup_to_disc_ratio=0)) == repr(replace(other, cup_to_disc_ratio=0))


@pytest.mark.parametrize("ratio", [0.3, 0.45, 0.6, 0.75])
def test_the_cup_is_drawn_as_large_as_its_ratio_says(ratio: float):
    size = 224
    random = np.random.default_rng(5)
    eye = replace(
        draw_eye("normal", random),
        cup_to_disc_ratio=ratio,
        tilt=0,
        crescent=0,
        mottling=0,
        vessel_width=1e-6,
        blur=0,
        noise=0,
    )
    x, y = (round(size * value) for value in eye.cup_centre)
    blue = render(eye, size, random)[:, x, 2].astype(float)
    on_rim = round(size * (eye.centre[1] - (eye.radius + eye.cup_radius) / 2))
    cup_height = np.count_nonzero(blue > (blue[y] + blue[on_rim]) / 2) / size
    assert cup_height == pytest.approx(2 * eye.radius * ratio, rel=0.15)


def test_the_mean_colour_does_not_tell_the_label():
    colours = {
        label: np.stack(
            [pixels(Position("train", label, number)).mean(axis=(0, 1)) for number in range(100)]
        )
        for label in CLASSES
    }
    for channel in range(3):
        positive, negative = (colours[label][:, channel] for label in CLASSES)
        assert separation(positive, negative) < 0.65
    spread = np.concatenate(list(colours.values())).std(axis=0)
    assert spread.min() > 8  # for want of variety there would be nothing to tell


def test_a_complete_set_is_reused(tmp_path: Path):
    write_images(tmp_path, FEW, seed=1, progress=quiet, size=SIZE)
    image = tmp_path / "train/glaucoma/synthetic_0001.jpg"
    before = image.stat()
    write_images(tmp_path, FEW, seed=1, progress=breaks, size=SIZE)
    assert (image.stat().st_ino, image.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def lose_an_image(folder: Path) -> None:
    (folder / "test/normal/synthetic_0002.jpg").unlink()


def put_in_what_an_older_version_drew(folder: Path) -> None:
    (folder / "train/glaucoma/synthetic_0001.jpg").write_bytes(b"older")


@pytest.mark.parametrize("damage", [lose_an_image, put_in_what_an_older_version_drew])
def test_a_set_that_is_not_as_it_would_be_now_is_made_again(
    tmp_path: Path, damage: Callable[[Path], None]
):
    folder = tmp_path / "images"
    write_images(folder, FEW, seed=1, progress=quiet, size=SIZE)
    intact = digest_tree(folder)
    damage(folder)
    write_images(folder, FEW, seed=1, progress=quiet, size=SIZE)
    assert digest_tree(folder) == intact


def test_a_set_with_other_arguments_is_replaced_whole(tmp_path: Path):
    folder = tmp_path / "images"
    write_images(folder, FEW, seed=1, progress=quiet, size=SIZE)
    write_images(folder, {"train": 1}, seed=1, progress=quiet, size=SIZE)
    assert len(names(folder)) == 1 + 2
    assert list(tmp_path.iterdir()) == [folder]


def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        write_images(tmp_path / "images", FEW, seed=1, progress=breaks, size=SIZE)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_replacement_leaves_the_older_set(tmp_path: Path):
    folder = tmp_path / "images"
    write_images(folder, FEW, seed=1, progress=quiet, size=SIZE)
    before = digest_tree(folder)
    with pytest.raises(KeyboardInterrupt):
        write_images(folder, FEW, seed=2, progress=breaks, size=SIZE)
    assert digest_tree(folder) == before
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_that_holds_something_else_is_left_as_it_is(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(PupilaError, match="something other than synthetic images"):
        write_images(tmp_path, FEW, seed=1, progress=quiet, size=SIZE)
    assert names(tmp_path) == {"thesis.txt"}


@pytest.mark.parametrize("counts", [{}, {"train": 0}, {"training": 3}])
def test_invalid_counts_are_refused(tmp_path: Path, counts: dict[str, int]):
    with pytest.raises(PupilaError, match="train, validation, test"):
        write_images(tmp_path / "images", counts, seed=1, progress=quiet, size=SIZE)


def test_a_set_is_sound_data_without_near_duplicates(tmp_path: Path):
    data = scanned(tmp_path, {"train": 40, "test": 10})
    hashes = [int(text, 16) for text in data.frame["phash"]]
    apart = [(one ^ other).bit_count() for i, one in enumerate(hashes) for other in hashes[:i]]
    assert set(data.frame["error"]) == {""}
    assert min(apart) > Bounds().near_duplicate_distance


def scanned(folder: Path, counts: dict[str, int]) -> Dataset:
    write_images(folder / "images", counts, seed=1, progress=quiet, size=96)
    frame = manifest.scan(manifest.read(folder / "images"), folder / "cache", quiet)
    return Dataset.of(frame, CLASSES, folder / "cache")


@pytest.mark.slow
def test_a_teacher_learns_its_images_and_opens_in_keras(tmp_path: Path):
    data = scanned(tmp_path, {"train": 40})
    path = tmp_path / "teachers" / "teacher.keras"
    epochs: list[int] = []
    write_teacher(data, path, seed=1, progress=lambda done, total, what: epochs.append(done))

    model = keras_files.import_keras().saving.load_model(path)
    images = np.stack([np.asarray(Image.open(file), np.float32) for file in data.paths])
    probabilities = model.predict(images, verbose=0)
    assert epochs == list(range(1, len(epochs) + 1))
    assert list(path.parent.iterdir()) == [path]
    assert model.input_shape == (None, 96, 96, 3)
    assert 1e6 < keras_files.parameters(model) < 3e6
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.mean(probabilities.argmax(axis=1) == data.labels) > 0.8


@pytest.mark.slow
def test_an_interrupted_training_leaves_no_teacher(tmp_path: Path):
    data = scanned(tmp_path, {"train": 2})
    with pytest.raises(KeyboardInterrupt):
        write_teacher(data, tmp_path / "teachers" / "teacher.keras", seed=1, progress=breaks)
    assert not list(tmp_path.glob("teachers/**/*"))
