"""Students that begin as their teacher does, in recipes: mistakes are reported with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError

RECIPE = """\
name: beginning
data: {{path: images}}
teachers:
  big: {{path: big.keras, classes: [a, b]}}
steps:
  pupil:
    use: {use}
    {inputs}
    with: {{student: {student}}}
"""


def problems(folder: Path, student: str, use: str = "distill") -> str:
    for label in ("a", "b"):
        (folder / "images" / "train" / label).mkdir(parents=True)
        (folder / "images" / "train" / label / "1.png").touch()
    (folder / "big.keras").write_bytes(b"PK")
    file = folder / "recipe.yaml"
    inputs = "from: big" if use == "distill" else "timeout_minutes: 5"
    file.write_text(RECIPE.format(use=use, inputs=inputs, student=student))
    try:
        read_plan(file)
    except RecipeError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("size", ["until: block7_add", "max_bytes: 300kB", "share: 0.1", "head: 0"])
def test_a_beginning_is_taken(tmp_path: Path, size: str) -> None:
    assert problems(tmp_path, f"{{from: teacher, {size}}}") == ""


@pytest.mark.parametrize(
    ("student", "said"),
    [
        (
            "{from: teacher, untill: x}",
            "9: steps.pupil.with.student.untill is not a known field. Did you mean 'until'? Known: "
            "from, until, max_bytes, share, head, frozen_until, frozen, frozen_epochs, "
            "normalisation.",
        ),
        ("{from: techer}", "9: steps.pupil.with.student.from is 'techer': must be 'teacher'."),
        ("{from: teacher, max_bytes: 3 cows}", "9: steps.pupil.with.student.max_bytes is '3 cows'"),
        ("{until: x}", "9: steps.pupil.with.student.from is missing."),
        ("mobil-xs", "9: steps.pupil.with.student is 'mobil-xs': No student named 'mobil-xs'."),
        ("3", '9: steps.pupil.with.student: must be text: put quotes, as in student: "3".'),
    ],
)
def test_a_mistake_in_it_is_told_with_its_line(tmp_path: Path, student: str, said: str) -> None:
    assert said in problems(tmp_path, student)


@pytest.mark.parametrize("use", ["train", "distill-evolutionary"])
def test_what_has_no_teacher_cannot_begin_as_one(tmp_path: Path, use: str) -> None:
    assert "this step has no teacher" in problems(tmp_path, "{from: teacher}", use)
