"""What a recipe says of images of other places is checked before anything runs."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from pictures import picture, red_and_green

from pupila_flows.plan.plan import Plan
from pupila_flows.plan.reach import reach_of_plan
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError

RECIPE = """\
name: elsewhere
data: {path: data.csv}
teachers:
  big: {path: big.keras, classes: [eye, other]}
steps:
  lite: {use: export-tflite, from: big}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    red_and_green(tmp_path)
    (tmp_path / "big.keras").write_bytes(b"PK")
    picture(tmp_path / "bare" / "a.png", (9, 9, 9))
    with (tmp_path / "there.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "patient"])
        writer.writerows([f"{row}.png", "Eye" if row % 2 else "no", row // 2] for row in range(100))
    return tmp_path


def _plan(folder: Path, more: str) -> Plan:
    (folder / "recipe.yaml").write_text(RECIPE + more)
    return read_plan(folder / "recipe.yaml")


def test_images_are_listed_and_none_is_opened(folder: Path):
    plan = _plan(folder, "external: {b: {path: there.csv, map: {'NO': other}}, c: {path: bare}}\n")
    assert [(planned.name, len(planned.listing.rows)) for planned in plan.external] == [
        ("b", 100),
        ("c", 1),
    ]


@pytest.mark.parametrize(
    ("more", "line", "message"),
    [
        ("external: {b: {path: nowhere}}", 7, "no images at"),
        ("external: {b: {path: there.csv}}", 7, "labelled 'no', and the classes are eye, other"),
        ("external: {b: {path: there.csv, map: {no: othr}}}", 7, "map is 'othr'.*mean 'other'"),
        ("external: {b: {path: bare, split: test}}", 7, "has no splits"),
        ("external: {b: {path: bare, folder: bare}}", 7, "leave `folder` out"),
        ("external: {b: {}}", 7, "path"),
        (
            "external: {b: {path: bare}}\ngate: {external: {sets: [c]}}",
            8,
            "'c' is not a set of `external`",
        ),
        ("external: {b: {path: bare}}\ngate: {external: {sets: [b]}}", 8, "'b' has no labels"),
        ("gate: {external: {fidelity: 0.8}}", 7, "the recipe has no `external`"),
    ],
)
def test_a_mistake_is_reported_with_its_line(folder: Path, more: str, line: int, message: str):
    with pytest.raises(RecipeError, match=message) as error:
        _plan(folder, more + "\n")
    assert [problem.line for problem in error.value.problems] == [line]


@pytest.mark.parametrize(
    ("gate", "said", "warned"),
    [
        ("{}", True, True),
        ("{external: {margins: {accuracy: 0.2}}}", True, False),
        ("{external: {margins: {}}}", False, False),
        ("{external: {sets: []}}", False, False),
    ],
)
def test_what_can_be_shown_elsewhere_is_reported_beforehand(
    folder: Path, gate: str, said: bool, warned: bool
):
    external = "external: {b: {path: there.csv, map: {no: other}}, c: {path: bare}}\n"
    reach = reach_of_plan(_plan(folder, f"{external}gate: {gate}\n"))
    assert reach is not None
    sentence = "with 100 images of b (50 eye, 50 other) an equally good model"
    assert (sentence in reach.sentence) == said
    assert ("of 50 patients" in reach.sentence) == said
    assert any("the images of b" in warning for warning in reach.warnings) == warned
    assert "images of c" not in reach.sentence


def test_a_place_with_one_class_alone_is_warned_of(folder: Path):
    (folder / "one.csv").write_text("path,label\na.png,eye\n")
    reach = reach_of_plan(_plan(folder, "external: {b: {path: one.csv}}\ngate: {}\n"))
    assert reach is not None
    assert "what needs images of other cannot be shown there" in reach.warnings[-1]
