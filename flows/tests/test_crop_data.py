"""`pupila crop`: crops of photographs at positions of a CSV, or at those that a locator finds."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from command_line import run_pupila
from PIL import Image

from pupila.artifact import Artifact
from pupila.cropping import crop, square_around
from pupila.errors import PupilaError
from pupila.images import resize
from pupila.predictions import open_model
from pupila.runtime import ignore_progress
from pupila.spec import InputSpec
from pupila.task import answers_of_outputs
from pupila.testing import colour_teacher, disc_dataset, disc_locator
from pupila_flows.run.crop import CroppedData, CropRequest, crop_data
from pupila_flows.workspace import Workspace

COLUMNS = ("x", "y", "half_width", "half_height")
SIZE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of drawn discs, two of each split absent, and a CSV of them."""
    folder = tmp_path_factory.mktemp("photographs")
    frame = disc_dataset(folder, images=4, absent=2).frame
    with (folder / "discs.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "split", "patient", *COLUMNS])
        for row in frame.to_dict("records"):
            label = str(row["label"])
            position = [""] * 4 if label == "absent" else label.split()
            path = Path(str(row["path"])).relative_to(folder)
            writer.writerow([path, row["split"], f"p{path.stem}", *position])
    return folder


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.at(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def locator(workspace: Workspace) -> Artifact:
    return disc_locator(workspace.store, nowhere=20.0)


def _rows(made: CroppedData) -> list[dict[str, str]]:
    with made.manifest.open() as stream:
        return list(csv.DictReader(stream))


def test_crops_at_true_positions_are_those_of_the_rule_and_keep_the_other_columns(
    folder: Path, workspace: Workspace, tmp_path: Path
):
    made = crop_data(workspace, CropRequest(folder / "discs.csv", tmp_path / "out", size=SIZE))
    rows = _rows(made)
    assert (made.crops, len(made.absent), len(rows)) == (6, 6, 6)
    sides: list[float] = []
    assert list(rows[0]) == ["path", "split", "patient"]
    with (folder / "discs.csv").open() as stream:
        given = {row["path"]: row for row in csv.DictReader(stream)}
    for row in rows:
        own = given[row["path"]]
        assert (own["split"], own["patient"]) == (row["split"], row["patient"])
        image = np.asarray(Image.open(folder / row["path"]).convert("RGB"))
        x, y, half_width, half_height = (float(own[name]) for name in COLUMNS)
        square = square_around((96, 64), (x, y), (half_width, half_height))
        sides.append(square.side)
        expected = crop(image, square, InputSpec(height=SIZE, width=SIZE))
        written = np.asarray(Image.open(made.manifest.parent / row["path"]))
        assert np.array_equal(written, expected)
    assert sorted(made.enlarged) == sorted(side for side in sides if side < SIZE)


def test_positions_of_a_name_are_read_and_not_kept_and_enlarged_crops_are_counted(
    folder: Path, workspace: Workspace, tmp_path: Path
):
    with (folder / "discs.csv").open() as stream:
        given = list(csv.DictReader(stream))
    with (folder / "named.csv").open("w", newline="") as stream:
        names = {name: f"disc_{name}" for name in COLUMNS}
        writer = csv.writer(stream)
        writer.writerow([names.get(name, name) for name in given[0]])
        writer.writerows(row.values() for row in given)
    requests = (
        CropRequest(folder / f"{name}.csv", tmp_path / name, size=1000)
        for name in ("discs", "named")
    )
    plain, named = (crop_data(workspace, request) for request in requests)
    assert _rows(named) == _rows(plain)
    assert list(_rows(named)[0]) == ["path", "split", "patient"]
    for row in _rows(named):
        one, other = (Image.open(made.manifest.parent / row["path"]) for made in (plain, named))
        assert np.array_equal(np.asarray(one), np.asarray(other))
    assert len(named.enlarged) == named.crops and max(named.enlarged) < 96


def test_a_locator_finds_what_to_crop_and_leaves_out_where_it_finds_nothing(
    folder: Path, workspace: Workspace, locator: Artifact, tmp_path: Path
):
    at_positions, by_locator = (
        crop_data(workspace, CropRequest(folder / "discs.csv", tmp_path / name, model, SIZE))
        for name, model in (("true", None), ("located", locator.path))
    )
    assert by_locator.crops == at_positions.crops
    assert set(by_locator.absent) == set(at_positions.absent)
    spec, output = InputSpec(height=SIZE, width=SIZE), locator.record.output
    with closing(open_model(locator, 1)) as model:
        for row in _rows(by_locator):
            image = Image.open(folder / row["path"]).convert("RGB")
            pixels = resize(image, locator.record.input)[np.newaxis]
            answers = answers_of_outputs(output, model.predict(pixels, ignore_progress))
            x, y, half_width, half_height, _ = map(float, answers[0])
            width, height = image.size
            square = square_around(
                image.size, (x * width, y * height), (half_width * width, half_height * height)
            )
            written = np.asarray(Image.open(by_locator.manifest.parent / row["path"]))
            assert np.array_equal(written, crop(np.asarray(image), square, spec))


def test_a_folder_of_classes_keeps_its_classes_and_its_tree(
    folder: Path, workspace: Workspace, locator: Artifact, tmp_path: Path
):
    made = crop_data(workspace, CropRequest(folder / "images", tmp_path / "out", locator.path))
    rows = _rows(made)
    assert {row["split"] for row in rows} <= {"train", "validation", "test", ""}
    assert all((tmp_path / "out" / row["path"]).is_file() for row in rows)
    assert Image.open(tmp_path / "out" / rows[0]["path"]).size == (224, 224)


@pytest.mark.long
def test_images_of_one_name_in_two_formats_get_a_crop_each(workspace: Workspace, tmp_path: Path):
    disc_dataset(tmp_path / "drawn", images=2, splits=("train",))
    both = tmp_path / "both"
    both.mkdir()
    for number, suffix in enumerate(("png", "bmp")):
        image = Image.open(tmp_path / "drawn" / "images" / "train" / f"{number}.png")
        image.save(both / f"same.{suffix}")
    locator = disc_locator(workspace.store)
    made = crop_data(workspace, CropRequest(both, tmp_path / "out", locator.path, 16))
    assert [row["path"] for row in _rows(made)] == ["same.png", "same-2.png"]


def test_what_cannot_be_cropped_is_refused(
    folder: Path, workspace: Workspace, locator: Artifact, tmp_path: Path
):
    classifier = colour_teacher(workspace.store)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    bare = tmp_path / "bare.csv"
    bare.write_text(f"path\n{next((folder / 'images').rglob('*.png'))}\n")
    outside = tmp_path / "outside.csv"
    lines = (folder / "discs.csv").read_text().splitlines()
    moved = lines[1].split(",")
    moved[0], moved[3:] = str(folder / moved[0]), ["900", "9", "4", "4"]
    outside.write_text("\n".join([lines[0], ",".join(moved), ""]))
    for data, output, model, said in (
        (folder / "discs.csv", "full", None, "is not empty: name a new folder"),
        (bare, "a", None, "has no column 'x': give a locator with `--with`"),
        (outside, "b", None, "outside the image of 96 x 64 pixels"),
        (folder / "discs.csv", "c", classifier.path, "has learned classification of 2 classes"),
    ):
        with pytest.raises(PupilaError, match=said):
            crop_data(workspace, CropRequest(data, tmp_path / output, model))


@pytest.mark.slow
def test_the_command_says_what_it_wrote(folder: Path, locator: Artifact, tmp_path: Path):
    done = run_pupila(
        tmp_path, "crop", folder / "discs.csv", "out", "--with", locator.path, "--json"
    )
    said = json.loads(done.stdout)
    assert (said["crops"], len(said["absent"]), said["skipped"]) == (6, 6, [])
    assert (tmp_path / said["manifest"]).is_file()
