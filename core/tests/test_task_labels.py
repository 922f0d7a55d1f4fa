"""Labels of tasks beyond classification: in which columns of a CSV they are, and how they fail."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from pupila import PupilaError, layout, manifest
from pupila.dataset import Dataset
from pupila.plugin_registry import installed
from pupila.runtime import ignore_progress
from pupila.spec import OutputSpec
from pupila.task import methods_of
from pupila.testing import draw_images
from pupila.testing.spots import SPOTS, draw_spots, spots_installed


@pytest.fixture(autouse=True)
def spots(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    with spots_installed(tmp_path_factory.mktemp("site")):
        yield


def _csv(folder: Path, text: str) -> Path:
    for name in ("a.png", "b.png"):
        (folder / name).touch()
    file = folder / "data.csv"
    file.write_text(text)
    return file


def test_the_label_columns_of_a_csv_become_one_text(tmp_path: Path):
    file = _csv(
        tmp_path,
        "path,x,y,split,site\na.png,3.50,4,train,here\nb.png,,,val,there\n",
    )
    frame = manifest.read(file, SPOTS)
    assert list(frame.columns) == ["path", "split", "site", "label"]
    assert frame["label"].tolist() == ["3.50 4", "absent"]
    assert frame["split"].tolist() == ["train", "validation"]
    assert layout.labels(file, SPOTS) == ("3.50 4", "absent")
    assert [row["label"] for row in layout.labelled_images(file, "train", SPOTS)] == ["3.50 4"]


def test_an_unlabelled_image_has_no_label(tmp_path: Path):
    file = _csv(tmp_path, "path,x,y,split\na.png,3,4,train\nb.png,,,unlabelled\n")
    assert manifest.read(file, SPOTS)["label"].tolist() == ["3 4", ""]
    assert layout.labels(file, SPOTS) == ("3 4",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,x,split\na.png,3,train\n", r"data.csv, line 1 has no column 'y': found 'path', 'x', "
         r"'split'; expected path, x, y, split, separated by commas\."),
        ("path,x,y,label,split\na.png,3,4,ill,train\n", r"data.csv, line 1 has the column 'label', "
         r"but the labels of the task 'spots' are in 'x', 'y': remove or rename it\."),
        ("path,x,y,split\na.png,3,4,train\nb.png,3, ,train\n", r"csv, line 3 has no 'y': give one"),
        ("path,x,y,split\na.png,3,left,train\n", r"data.csv, line 2 has the y 'left': give a"),
        ("path,x,y,split\na.png,3,nan,train\n", r"data.csv, line 2 has the y 'nan': give a"),
        ("path,x,y,split\na.png,3,4,unlabelled\n", r"line 2: an image of the split 'unlabelled' "
         r"has the label '3 4'\. Put it into the split 'train', or leave its label empty\."),
    ],
)  # fmt: skip
def test_a_csv_that_does_not_fit_its_task_is_refused(tmp_path: Path, text: str, message: str):
    file = _csv(tmp_path, text)
    for read in (manifest.read, layout.labels):
        with pytest.raises(PupilaError, match=message):
            read(file, SPOTS)


def test_a_folder_of_classes_is_refused_where_labels_have_columns(tmp_path: Path):
    images = draw_images(tmp_path / "images")
    message = (
        r"is a folder, and the task 'spots' has no folders of classes: give a CSV manifest with "
        r"the columns path, x, y, split\."
    )
    for read in (manifest.read, layout.labels):
        with pytest.raises(PupilaError, match=message):
            read(images, SPOTS)


def test_a_csv_of_another_task_names_that_task(tmp_path: Path):
    file = _csv(tmp_path, "path,x,y,split\na.png,3,4,train\n")
    with pytest.raises(PupilaError, match=r"line 1 has no column 'label'.*It has those of the task "
                       r"'spots': name it as the data's task\."):  # fmt: skip
        manifest.read(file)


def test_columns_of_positions_are_kept_in_a_classification(tmp_path: Path):
    file = _csv(tmp_path, "path,label,x,y,split\na.png,ill,3,4,train\n")
    assert list(manifest.read(file).columns) == ["path", "label", "x", "y", "split"]


def test_truths_are_fractions_of_the_files_size(tmp_path: Path):
    listing = draw_spots(tmp_path / "images")
    frame = manifest.scan(manifest.read(listing, SPOTS), tmp_path / "cache", ignore_progress)
    data = Dataset.of(frame, ("spot",), tmp_path / "cache", SPOTS)
    truths = methods_of(SPOTS).truths(data)
    assert truths.shape == (15, 2)
    assert ((truths > 0) & (truths < 1)).all()
    assert data.counts == {"train": {"spot": 5}, "validation": {"spot": 5}, "test": {"spot": 5}}
    (rule,) = methods_of(SPOTS).label_rules(data)
    assert set(rule.faults) == {""}


def test_a_task_may_have_folders_if_its_label_is_one_text():
    assert installed().task("classification").takes_folders
    assert not installed().task(SPOTS).takes_folders


def test_an_output_of_another_number_of_values_is_refused_by_default():
    output = OutputSpec(kind="softmax", classes=("a", "b", "c"))
    task = methods_of("classification")
    assert task.declared(output, (3,)) == output
    with pytest.raises(
        PupilaError, match=r"gives \(2, 2\) for each image, expected one column for"
    ):
        task.declared(output, (2, 2))


# Columns that begin with what the labels are about --------------------------------------------

TWO_EYES = "path,left_x,left_y,right_x,right_y,split\na.png,1,2,3,4,train\nb.png,5,6,,,test\n"


@pytest.mark.parametrize(
    ("header", "classes", "names", "label"),
    [
        ("left_x,left_y", None, ("left",), "1 2"),
        ("left_x,left_y", ("left",), ("left",), "1 2"),
        ("left_x,left_y,right_x,right_y", ("right",), ("right",), "3 4"),
        ("x,y", None, ("spot",), "1 2"),
        ("x,y", ("left",), ("left",), "1 2"),
        ("x,y,left_x,left_y", None, ("spot",), "1 2"),
        ("x,y,left_x,left_y", ("left",), ("left",), "3 4"),
        ("left_x,left_y,pupil_size_x", None, ("left",), "1 2"),
    ],
)
def test_label_columns_may_begin_with_what_they_are_about(
    tmp_path: Path, header: str, classes: tuple[str, ...] | None, names: tuple[str], label: str
):
    values = ",".join("1234"[: header.count(",") + 1])
    file = _csv(tmp_path, f"path,{header},split\na.png,{values},train\n")
    assert layout.names(file, SPOTS, classes) == names
    assert layout.labels(file, SPOTS, classes) == (label,)
    assert manifest.read(file, SPOTS, classes)["label"].tolist() == [label]


def test_the_labels_of_other_names_are_kept_as_columns(tmp_path: Path):
    frame = manifest.read(_csv(tmp_path, TWO_EYES), SPOTS, ("right",))
    assert frame["label"].tolist() == ["3 4", "absent"]
    assert frame["left_x"].tolist() == ["1", "5"]
    assert "right_x" not in frame


@pytest.mark.parametrize(
    ("text", "classes", "message"),
    [
        (TWO_EYES, None, r"data.csv, line 1 has the labels of 'left', 'right', of which one can be "
         r"learned: name it in `data.classes`, or with --classes\.$"),
        (TWO_EYES, ("lift",), r"data.csv, line 1 has the labels of 'left', 'right', not of 'lift': "
         r"give the columns lift_x, lift_y, or the right name in `data.classes`, or with "
         r"--classes\. Did you mean 'left'\?$"),
        ("path,left_x,split\na.png,3,train\n", None, r"line 1 has no column 'left_y': found 'path'"
         r", 'left_x', 'split'; expected path, left_x, left_y, split, separated by commas\.$"),
        ("path,left_x,split\na.png,3,train\n", ("left",), r"line 1 has no column 'left_y'"),
        ("path,x,split\na.png,3,train\n", ("left",), r"line 1 has no column 'y'"),
        ("path,split\na.png,train\n", ("left",), r"line 1 has no column 'left_x'"),
        ("path,left_x,left_y,split\na.png,3,,train\n", None, r"line 2 has no 'left_y': give one"),
        ("path,left_x,left_y,split\na.png,3,up,train\n", None, r"line 2 has the left_y 'up'"),
        ("path,left_x,left_y,label,split\na.png,3,4,ill,train\n", None, r"line 1 has the column "
         r"'label', but the labels of the task 'spots' are in 'left_x', 'left_y': remove or ren"),
    ],
)  # fmt: skip
def test_named_columns_that_do_not_fit_are_refused(
    tmp_path: Path, text: str, classes: tuple[str, ...] | None, message: str
):
    file = _csv(tmp_path, text)
    for read in (manifest.read, layout.labels):
        with pytest.raises(PupilaError, match=message):
            read(file, SPOTS, classes)


def test_named_columns_in_a_classification_name_their_task(tmp_path: Path):
    file = _csv(tmp_path, "path,left_x,left_y,split\na.png,3,4,train\n")
    with pytest.raises(PupilaError, match=r"It has those of the task 'spots': name it as the"):
        manifest.read(file)
    labelled = _csv(tmp_path, "path,label,left_x,left_y,split\na.png,ill,3,4,train\n")
    assert layout.names(labelled, "classification") == ()
    assert layout.labels(labelled) == ("ill",)


def test_a_csv_may_say_how_large_its_files_are(tmp_path: Path):
    text = "path,x,y,split,width,height\na.png,3,4,train,512,\nb.png,,,test,512.0,340\n"
    frame = manifest.read(_csv(tmp_path, text), SPOTS)
    assert "width" not in frame
    assert frame["listed_width"].tolist() == ["512", "512.0"]
    assert frame["listed_height"].tolist() == ["", "340"]
    for wrong in ("wide", "0", "nan", "-5", "inf"):
        file = _csv(tmp_path, f"path,x,y,split,width\na.png,3,4,train,{wrong}\n")
        with pytest.raises(PupilaError, match=f"line 2 has the width '{wrong}': give the width of"):
            manifest.read(file, SPOTS)
    measured = _csv(tmp_path, "path,x,y,split,sha256\na.png,3,4,train,0\n")
    with pytest.raises(PupilaError, match="column 'sha256', which is measured from the files"):
        manifest.read(measured, SPOTS)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("1,2", r"csv, line 3: './a.png' is listed a second time, after line 2\. Remove one of"),
        ("8,9", r"listed a second time, after line 2, with the label '8 9' instead of '1 2'\. Rem"),
        (",", r"listed a second time, after line 2, with the label 'absent' instead of '1 2'\. R"),
    ],
)
def test_an_image_has_one_label(tmp_path: Path, second: str, message: str):
    file = _csv(tmp_path, f"path,x,y,split\na.png,1,2,train\n./a.png,{second},train\n")
    for read in (manifest.read, layout.labels):
        with pytest.raises(PupilaError, match=message):
            read(file, SPOTS)


def test_a_task_that_no_plugin_has_is_refused(tmp_path: Path):
    file = _csv(tmp_path, "path,x,y,split\na.png,3,4,train\n")
    for read in (manifest.read, layout.labels, layout.names):
        with pytest.raises(PupilaError, match=r"No task named 'spotz'\. Did you mean 'spots'\?"):
            read(file, "spotz")
