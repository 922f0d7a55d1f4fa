"""A recipe is compared with the labels of the images, which are read without opening any."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image

from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError

RECIPE = """\
name: labels
data: {path: eyes}
teachers:
  big: {path: big.h5, classes: [normal, glaucoma]}
  other: {path: big.h5, classes: [glaucoma, normal]}
steps:
  small: {use: distill, from: [big, other]}
"""
SPLITS = ("train", "validation", "test")


@pytest.fixture
def eyes(tmp_path: Path) -> Path:
    """Files that are named as images are: a check that opened one would fail."""
    (tmp_path / "big.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    for split in SPLITS:
        _files(tmp_path / "eyes" / split)
    return tmp_path / "eyes"


def _files(folder: Path, labels: tuple[str, ...] = ("glaucoma", "normal"), count: int = 2) -> None:
    for label in labels:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            (folder / label / f"{number}.jpg").touch()


def _csv(eyes: Path, label: str = "normal") -> None:
    rows = "".join(
        f"eyes/{split}/{folder}/0.jpg,{written},{split}\n"
        for split in SPLITS
        for folder, written in (("glaucoma", "glaucoma"), ("normal", label))
    )
    (eyes.parent / "eyes.csv").write_text(f"path,label,split\n{rows}")


def _read(eyes: Path, *changes: tuple[str, str]) -> Plan:
    text = RECIPE
    for change in changes:
        assert change[0] in text
        text = text.replace(*change, 1)
    file = eyes.parent / "recipe.yaml"
    file.write_text(text)
    return read_plan(file)


@pytest.mark.parametrize("listed", ["folders", "csv"])
@pytest.mark.parametrize(("on_disk", "typed"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_letters_and_accents_apart_are_the_same_class(
    eyes: Path, listed: str, on_disk: Literal["NFC", "NFD"], typed: Literal["NFC", "NFD"]
):
    name = "párpado"
    for split in SPLITS:
        (eyes / split / "normal").rename(eyes / split / unicodedata.normalize(on_disk, name))
    data = ("path: eyes", "path: eyes")
    if listed == "csv":
        rows = "".join(
            f"{file.relative_to(eyes.parent)},{file.parent.name},{file.parent.parent.name}\n"
            for file in sorted(eyes.glob("*/*/*"))
        )
        (eyes.parent / "eyes.csv").write_text(f"path,label,split\n{rows}")
        data = ("path: eyes", "path: eyes.csv")
    written = unicodedata.normalize(typed, name)
    plan = _read(eyes, data, ("[normal,", f"[{written},"), (", normal]", f", {written}]"))
    assert plan.teachers[0].spec.classes == (unicodedata.normalize("NFC", name), "glaucoma")


def _problems(eyes: Path, *changes: tuple[str, str]) -> list[tuple[int, str]]:
    with pytest.raises(RecipeError) as caught:
        _read(eyes, *changes)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def test_teachers_and_data_may_name_the_labels_in_any_order(eyes: Path) -> None:
    _read(eyes)
    _read(eyes, ("eyes}", "eyes, classes: [normal, glaucoma], positive: normal}"))
    _csv(eyes)
    _read(eyes, ("eyes}", "eyes.csv}"))


def test_folders_of_classes_without_splits_are_refused(eyes: Path) -> None:
    _files(eyes.parent / "flat")
    ((line, message),) = _problems(eyes, ("eyes}", "flat}"))
    assert line == 2
    assert "flat' has no split folders: found 'glaucoma', 'normal'. Expected train/<" in message


def test_a_misspelt_class_of_a_teacher_is_reported_with_the_label_that_is_meant(eyes: Path) -> None:
    problems = _problems(eyes, ("[normal, glaucoma]", "[normal, glaukoma]"))
    assert problems == [
        (
            4,
            "teachers.big.classes are ['normal', 'glaukoma'], but the folders of classes in 'eyes' "
            "are ['glaucoma', 'normal']. 'glaukoma' is not one of them. Did you mean 'glaucoma'? "
            "Name these, in the order of the model's outputs, since 'small' (distill) works on it "
            "with these images.",
        )
    ]


def test_teachers_that_are_misspelt_alike_are_each_reported(eyes: Path) -> None:
    problems = _problems(
        eyes,
        ("[normal, glaucoma]", "[norml, glaucoma]"),
        ("[glaucoma, normal]", "[glaucoma, norml]"),
    )
    assert [line for line, _ in problems] == [4, 5]
    assert all(
        "'norml' is not one of them. Did you mean 'normal'?" in message for _, message in problems
    )


def test_a_misspelt_class_of_the_data_is_reported_and_right_teachers_are_not(eyes: Path) -> None:
    problems = _problems(eyes, ("eyes}", "eyes, classes: [normal, glaukoma]}"))
    assert problems == [
        (
            2,
            "data.classes are ['normal', 'glaukoma'], but the folders of classes in 'eyes' are "
            "['glaucoma', 'normal']. 'glaukoma' is not one of them. Did you mean 'glaucoma'? "
            "Name these, in any order, or leave data.classes out.",
        )
    ]


def test_a_misspelt_label_of_a_csv_is_not_a_class_of_the_teachers(eyes: Path) -> None:
    _csv(eyes, label="nomal")
    problems = _problems(eyes, ("eyes}", "eyes.csv}"))
    assert [line for line, _ in problems] == [4, 5]
    assert "the labels in 'eyes.csv' are ['glaucoma', 'nomal']" in problems[0][1]
    assert "'normal' is not one of them. Did you mean 'nomal'?" in problems[0][1]


def test_a_positive_class_that_no_image_has_is_reported(eyes: Path) -> None:
    problems = _problems(eyes, ("eyes}", "eyes, positive: glaucom}"))
    assert problems == [
        (
            2,
            "positive is 'glaucom', which is not one of the classes ['normal', 'glaucoma']. "
            "Did you mean 'glaucoma'?",
        )
    ]


def test_images_that_are_all_unlabelled_are_refused(eyes: Path) -> None:
    _files(eyes.parent / "bare", ("unlabelled",))
    ((line, message),) = _problems(eyes, ("eyes}", "bare}"))
    assert line == 2 and "are all unlabelled: add labelled ones in the splits train" in message


def test_a_folder_without_images_is_not_a_class(eyes: Path) -> None:
    (eyes / "train" / "results").mkdir()
    (eyes / "train" / "results" / "notes.txt").touch()
    _read(eyes)


def test_no_image_is_opened(eyes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an image was opened")

    monkeypatch.setattr(Image, "open", refuse)
    _read(eyes)
