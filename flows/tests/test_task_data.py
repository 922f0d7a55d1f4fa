"""Data of a task beyond classification: read, listed, checked and in the key of a job."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pupila import PupilaError
from pupila.dataset import Dataset
from pupila.plugin_registry import installed
from pupila.spec import OutputSpec
from pupila.testing import draw_images
from pupila.testing.spots import SPOTS, draw_spots, spots_installed
from pupila_flows.cli.main import app
from pupila_flows.data.exclude import images_for_step, mistakes
from pupila_flows.data.external.listing import list_images
from pupila_flows.data.external.reading import read_external
from pupila_flows.data.reading import read_data
from pupila_flows.data.validation import Bounds, validate
from pupila_flows.jobs.check_data import CheckData
from pupila_flows.jobs.keys import Images
from pupila_flows.recipe.schema import DataSection
from pupila_flows.report.terminal import plugin_rows
from pupila_flows.results import Check
from pupila_flows.teachers import TeacherRecord
from pupila_flows.workspace import Workspace


@pytest.fixture(autouse=True)
def spots(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Generator[None]:
    site = tmp_path_factory.mktemp("site")
    monkeypatch.setenv("PYTHONPATH", str(site))  # of the processes that do jobs
    with spots_installed(site):
        yield


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return read_data(draw_spots(tmp_path / "images"), None, tmp_path / "cache", SPOTS)


def _validate(data: Dataset, docs: Path, bounds: Bounds | None = None) -> dict[str, Check]:
    checks, page = validate(
        data.frame, data.classes, "", bounds or Bounds(), docs, "spots.csv", data.task
    )
    assert page.exists()
    return {check.name: check for check in checks}


def test_the_names_of_a_task_are_its_own_unless_given(tmp_path: Path, data: Dataset):
    assert (data.task, data.classes) == (SPOTS, ("spot",))
    listing = tmp_path / "images" / "spots.csv"
    assert read_data(listing, ("disc",), tmp_path / "cache", SPOTS).classes == ("disc",)


def _named(listing: Path, *names: str) -> Path:
    """Rename `x` and `y` in a listing to `NAME_x` and `NAME_y`, and write the file's true size."""
    head, *lines = listing.read_text().splitlines()
    columns = [f"{name}_{part}" for name in names for part in "xy"]
    rows = [line.split(",") for line in lines]
    text = [f"path,split,{','.join(columns)},width,height"]
    text += [f"{path},{split},{','.join([x, y] * len(names))},40,32" for path, x, y, split in rows]
    file = listing.with_name("named.csv")
    file.write_text("\n".join([*text, ""]))
    assert head == "path,x,y,split"
    return file


def test_the_names_of_columns_are_those_of_the_data(tmp_path: Path, data: Dataset):
    one = _named(tmp_path / "images" / "spots.csv", "left")
    named = read_data(one, None, tmp_path / "cache", SPOTS)
    assert named.classes == ("left",)
    assert named.frame["label"].tolist() == data.frame["label"].tolist()
    assert set(named.frame["width"]) == {40.0}
    assert set(named.frame["listed_width"]) == {"40"}
    two = _named(tmp_path / "images" / "spots.csv", "left", "right")
    assert read_data(two, ("right",), tmp_path / "cache", SPOTS).classes == ("right",)
    workspace = Workspace.at(tmp_path / "workspace")
    again = Images.of(named, workspace).read(workspace)
    assert (again.classes, again.fingerprint) == (("left",), named.fingerprint)


def test_a_csv_with_named_columns_is_validated_as_it_is(tmp_path: Path):
    listing = str(_named(draw_spots(tmp_path / "images"), "left"))
    arguments = ["validate", listing, "--task", SPOTS, "--workspace", str(tmp_path / "workspace")]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["classes"] == ["left"]
    assert summary["counts"]["test"] == {"left": 5}


def test_every_way_to_other_rows_keeps_the_task(tmp_path: Path, data: Dataset):
    workspace = Workspace.at(tmp_path / "workspace")
    again = Images.of(data, workspace).read(workspace)
    assert (again.task, again.fingerprint) == (SPOTS, data.fingerprint)
    assert images_for_step(data, {}).task == SPOTS


def test_checks_of_classes_are_left_out_and_labels_are_checked(tmp_path: Path, data: Dataset):
    checks = _validate(data, tmp_path / "docs")
    assert "Every label is a known class" not in checks
    assert not any("class" in name for name in checks)
    split = checks["Every split has 5 labelled images or more"]
    assert split.passed
    assert split.observed == "train: 5; validation: 5; test: 5"
    assert checks["Every spot is in its image"].passed
    strict = _validate(data, tmp_path / "docs", Bounds(minimum_images=6))
    assert not strict["Every split has 6 labelled images or more"].passed


def test_a_position_outside_of_its_image_is_found_after_the_scan(tmp_path: Path):
    listing = draw_spots(tmp_path / "images")
    lines = listing.read_text().splitlines()
    lines[1] = "train-0.png,400,12,train"
    lines[2] = "train-1.png,,,train"
    listing.write_text("\n".join([*lines, "test-9.png,1,1,test", ""]))
    (tmp_path / "images" / "test-9.png").write_bytes(b"no image")
    checks = _validate(read_data(listing, None, tmp_path / "cache", SPOTS), tmp_path / "docs")
    inside = checks["Every spot is in its image"]
    assert (inside.passed, inside.severity) == (False, "error")
    assert inside.observed == "1 of 15 images: spot '400 12 of 40 × 32'"
    assert [Path(path).name for path in inside.images] == ["train-0.png"]
    assert "400 12" in "".join(page.read_text() for page in (tmp_path / "docs").rglob("*.html"))


def test_the_job_that_checks_data_knows_the_task(tmp_path: Path, data: Dataset):
    workspace = Workspace.at(tmp_path / "workspace")
    section = DataSection(path="spots.csv", task=SPOTS)
    job = CheckData.of(workspace, data, section, "spots.csv")
    result = job.run(lambda done, total, what: None)
    summary = result.summary(data, section, "spots.csv")
    assert (summary.passed, summary.positive) == (True, "")
    assert summary.counts["test"] == {"spot": 5}


def test_the_key_of_a_classification_has_no_task(tmp_path: Path, data: Dataset):
    workspace = Workspace.at(tmp_path / "workspace")
    eyes = read_data(draw_images(tmp_path / "eyes"), None, tmp_path / "cache")
    section = DataSection(path="eyes")
    job = CheckData.of(workspace, eyes, section, "eyes")
    assert set(job.identity()["images"]) == {"frame", "fingerprint", "classes"}
    other = CheckData.of(workspace, data, section.model_copy(update={"task": SPOTS}), "eyes")
    assert set(other.identity()["images"]) == {"frame", "fingerprint", "classes"}
    renamed = Dataset.of(data.frame, data.classes, data.cache, "another-task")
    assert renamed.fingerprint != data.fingerprint


def test_excluding_a_whole_split_is_a_mistake(data: Dataset):
    frame = data.frame.copy()
    frame["site"] = ["here", *["there"] * (len(data) - 1)]
    assert not list(mistakes(frame, {"site": ("here",)}, SPOTS))
    assert [message for _, message in mistakes(frame, {"site": ("here", "there")}, SPOTS)] == [
        "no image would be left in the split 'train'.",
        "no image would be left in the split 'validation'.",
    ]


def test_external_images_have_positions_or_no_labels(tmp_path: Path, data: Dataset):
    folder = tmp_path / "images"
    listing = list_images(folder / "spots.csv", None, SPOTS).of_split(None)
    assert len(listing.labels) > 1
    images = read_external("there", listing.with_classes(("spot",), {}), ("spot",), data.cache)
    assert (images.labelled, images.dataset.task, len(images.dataset)) == (True, SPOTS, 5)
    bare = read_external("there", list_images(folder, None, SPOTS), ("spot",), data.cache)
    assert (bare.labelled, bare.dataset.task) == (False, SPOTS)


def test_external_positions_are_those_of_the_name_that_is_evaluated(tmp_path: Path):
    file = _named(draw_spots(tmp_path / "images"), "left", "right")
    listing = list_images(file, None, SPOTS, ("left",)).of_split(None)
    assert len(listing.labels) > 1
    assert {row["listed_height"] for row in listing.rows} == {"32"}
    assert all("left_x" not in row and "right_x" in row for row in listing.rows)
    with pytest.raises(PupilaError, match="has the labels of 'left', 'right', not of 'nose': give"):
        list_images(file, None, SPOTS, ("nose",))
    with pytest.raises(PupilaError, match="labels of 'left', 'right', of which one can be learned"):
        list_images(file, None, SPOTS)
    bare = tmp_path / "images" / "bare.csv"
    bare.write_text("path,width\ntest-0.png,40\n")
    assert list_images(bare, None, SPOTS, ("left",)).labels == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,x,y,width\ntest-0.png,3,4,wide\n", "line 2 has the width 'wide': give the width"),
        ("path,x,y\ntest-0.png,3,4\ntest-0.png,8,9\n", "with the label '8 9' instead of '3 4'"),
        ("path,x\ntest-0.png,3\n", "line 1 has no column 'y'"),
        ("path,label\ntest-0.png,ill\n", "line 1 has the column 'label', but the labels of the"),
        ("path,x,y\ntest-0.png,3,\n", "line 2 has no 'y': give one"),
        ("path,x,y\ntest-0.png,3,up\n", "line 2 has the y 'up': give a number of pixels"),
    ],
)
def test_external_positions_that_are_none_are_refused(tmp_path: Path, text: str, message: str):
    draw_spots(tmp_path / "images")
    file = tmp_path / "images" / "there.csv"
    file.write_text(text)
    with pytest.raises(PupilaError, match=message):
        list_images(file, None, SPOTS)


def test_external_folders_of_classes_are_refused(tmp_path: Path):
    with pytest.raises(PupilaError, match="has folders of classes, such as 'square', and the task"):
        list_images(draw_images(tmp_path / "images"), None, SPOTS)


def test_a_map_of_classes_is_refused(tmp_path: Path):
    listing = list_images(draw_spots(tmp_path / "images"), None, SPOTS)
    with pytest.raises(PupilaError, match="`map` says which class a label means, and the task"):
        listing.with_classes(("spot",), {"a": "b"})


def test_the_record_of_a_teacher_keeps_what_it_has_learned():
    classes = OutputSpec(kind="softmax", classes=("a", "b"))
    record = TeacherRecord.of("big.keras", "0" * 64, "today", classes, "none")
    assert record.spec == classes
    assert not {"task", "size"} & json.loads(record.model_dump_json()).keys()
    heat = OutputSpec(task=SPOTS, kind="grid", classes=("spot",), size=(4, 5, 1))
    kept = TeacherRecord.of("big.keras", "0" * 64, "today", heat, "none").model_dump_json()
    assert TeacherRecord.model_validate_json(kept).spec == heat


def test_tasks_are_listed_with_the_other_plugins():
    rows = {row["name"]: row for row in plugin_rows(installed()) if row["kind"] == "task"}
    assert rows[SPOTS]["takes"] == "x, y"
    assert rows[SPOTS]["gives"] == "coordinates, grid"
    assert "classification" in rows


def test_validating_with_a_positive_class_is_refused(tmp_path: Path):
    listing = str(draw_spots(tmp_path / "images"))
    arguments = ["validate", listing, "--task", SPOTS, "--positive", "spot"]
    result = CliRunner().invoke(app, [*arguments, "--workspace", str(tmp_path / "workspace")])
    assert "has no classes: leave --positive out." in str(result.exception or result.output)
