"""Labels: what they say, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pupila import Dataset, PupilaError, layout, manifest
from pupila.runtime import ignore_progress
from pupila.task import methods_of

TASK = methods_of("localization")


def labelled(label, split="train", width=200.0, height=100.0, names=("disc",)):
    row = {
        "path": "/photographs/a.png",
        "label": label,
        "split": split,
        "sha256": "3f",
        "width": width,
        "height": height,
    }
    return Dataset(pd.DataFrame([row]), names, Path("cache"), "localization")


@pytest.mark.parametrize(
    ("label", "split", "truth"),
    [
        ("50 25 20 10", "train", [0.25, 0.25, 0.1, 0.1, 1]),
        ("0 100 200 0.5", "test", [0, 1, 1, 0.005, 1]),
        ("absent", "validation", [np.nan] * 4 + [0]),
        ("", "unlabelled", [np.nan] * 5),
    ],
)
def test_a_label_in_pixels_becomes_fractions_of_the_file(label, split, truth):
    np.testing.assert_allclose(TASK.truths(labelled(label, split)), [[*truth, 0.5]])


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("201 50 9 9", r"a\.png: the position is 201, 50, outside the image of 200 x 100 pixels"),
        ("50 -1 9 9", "outside the image"),
        ("nan 50 9 9", "the position is nan, 50, outside the image"),
        ("50 50 0 9", r"a\.png: half width and half height are 0 and 9: expected more than 0"),
        ("50 50 9 -2", "half width and half height are 9 and -2"),
        ("50 50 nan 9", "half width and half height are nan and 9"),
        ("50 50 inf 9", "at most the 200 x 100 pixels"),
        ("50 50 9", r"a\.png: its label is '50 50 9': expected one x, y, half_width and"),
        ("50 50 9 9 80 80 9 9", "four numbers in pixels"),
        ("fifty 50 9 9", "its label is 'fifty 50 9 9'"),
        ("", "its label is ''"),
    ],
)
def test_a_wrong_label_is_one_sentence_that_names_the_file(label, said):
    with pytest.raises(PupilaError, match=said) as caught:
        TASK.truths(labelled(label))
    assert "\n" not in str(caught.value)


def test_a_file_of_unknown_size_and_several_names_are_refused():
    with pytest.raises(PupilaError, match=r"a\.png: its width and height are nan and 100"):
        TASK.truths(labelled("1 1 1 1", width=float("nan")))
    with pytest.raises(PupilaError, match="localization finds one thing in an image"):
        TASK.truths(labelled("1 1 1 1", names=("disc", "fovea")))


def test_no_image_has_no_truth(dataset):
    assert TASK.truths(dataset.of_frame(dataset.frame[:0])).shape == (0, 6)


# A CSV -----------------------------------------------------------------------------------------

HEADER = "path,split,disc_x,disc_y,disc_half_width,disc_half_height"


def listing(folder, *lines, header=HEADER):
    """Write a CSV of two images of 200 x 100 pixels."""
    for name in ("a.png", "b.png"):
        Image.new("RGB", (200, 100), (90, 40, 20)).save(folder / name)
    file = folder / "discs.csv"
    file.write_text("\n".join([header, *lines, ""]))
    return file


def scanned(file, classes=("disc",)):
    frame = manifest.scan(
        manifest.read(file, "localization"), file.parent / "cache", ignore_progress
    )
    return Dataset.of(frame, classes, file.parent / "cache", "localization")


def test_the_positions_of_a_hospital_are_read_as_they_are(shared_data):
    file = shared_data / "discs" / "discs.csv"
    assert layout.names(file, "localization") == ("disc",)
    frame = manifest.read(file, "localization")
    assert len(frame) == 514
    assert frame["label"][0] == "80.6 172.87 23.4 23.04"
    assert set(frame.columns) == {
        *("path", "split", "label", "source", "listed_width", "listed_height")
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.png,train,50,,9,9", "line 2 has no 'disc_y': give all of disc_x, disc_y, disc_half_wi"),
        ("a.png,train,50,50,9,", "line 2 has no 'disc_half_height': give all of disc_x, disc_y, d"),
        ("a.png,train,left,50,9,9", "line 2 has the disc_x 'left': give a number of pixels\\.$"),
        ("a.png,train,50,inf,9,9", "line 2 has the disc_y 'inf': give a number of pixels\\.$"),
        ("a.png,train,50,50,0,9", "has the disc_half_width '0': give a number of pixels greater "),
        ("a.png,train,50,50,9,nan", "has the disc_half_height 'nan': give a number of pixels gre"),
        ("a.png,train,50,50,9,wide", "has the disc_half_height 'wide': give a number of pixels g"),
        ("a.png,train,50,50,-9,9", "has the disc_half_width '-9': give a number of pixels greate"),
        ("a.png,unlabelled,50,50,9,9", "split 'unlabelled' has the label '50 50 9 9'"),
        ("a.png,train,50,50,9,9\na.png,train,120,40,9,9", "line 3: 'a.png' is listed a second time"
         ", after line 2, with the label '120 40 9 9' instead of '50 50 9 9'"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_one_sentence_that_names_the_column(tmp_path, line, said):
    with pytest.raises(PupilaError, match=said) as caught:
        manifest.read(listing(tmp_path, line), "localization")
    assert "\n" not in str(caught.value)


def test_a_folder_or_other_columns_are_refused(tmp_path):
    with pytest.raises(PupilaError, match="columns path, x, y, half_width, half_height, split"):
        manifest.read(tmp_path, "localization")
    labelled = listing(tmp_path, "a.png,train,ill,1,1,1,1", header=HEADER.replace("t,", "t,label,"))
    with pytest.raises(PupilaError, match="column 'label', but the labels of the task 'localizat"):
        manifest.read(labelled, "localization")
    short = listing(tmp_path, "a.png,train,1,1,1", header=HEADER.removesuffix(",disc_half_height"))
    with pytest.raises(PupilaError, match="line 1 has no column 'disc_half_height': found"):
        manifest.read(short, "localization")


def faults(images):
    rules = TASK.label_rules(images)
    return {rule.name: [fault for fault in rule.faults if fault] for rule in rules}


def test_a_position_outside_of_its_image_is_found(tmp_path):
    images = scanned(listing(tmp_path, "a.png,train,201,50,9,9", "b.png,test,20,50,9,9"))
    broken = faults(images)
    assert broken["Every position is in its image"] == ["201 50 9 9 of 200 × 100"]
    assert "Every file has the size that the CSV gives" not in broken
    with pytest.raises(PupilaError, match=r"a\.png: the position is 201, 50, outside the image of"):
        TASK.truths(images)


@pytest.mark.parametrize("position", ["40,20,9,9", "400,150,40,40"])
def test_positions_in_the_pixels_of_another_file_are_found_by_its_size(tmp_path, position):
    """They may well lie inside this one."""
    lines = (f"a.png,train,{position},800,400", "b.png,test,20,50,9,9,200,")
    images = scanned(listing(tmp_path, *lines, header=f"{HEADER},width,height"))
    size = "800 x 400 pixels in the CSV, 200 x 100 in the file"
    assert faults(images)["Every file has the size that the CSV gives"] == [size]
    with pytest.raises(PupilaError, match=f"a.png: its size is {size}: give the position in pixel"):
        TASK.truths(images)
    assert np.isfinite(TASK.truths(images.select("test"))).all()
