"""A recipe that evaluates artifacts as filters, and the work that follows from it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pictures import picture, red_and_green, scanned

from pupila.openset import OpenSetImages
from pupila_flows.jobs.evaluate import Evaluate
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.schema import EvaluateSection, OpenSetSection
from pupila_flows.recipe.source import RecipeError
from pupila_flows.workspace import Workspace


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return red_and_green(tmp_path)


def test_a_filter_is_evaluated_once_wherever_the_workspace_lies(data: Path):
    dataset = scanned(data)
    section = EvaluateSection(open_set=OpenSetSection(accepts="eye"))
    artifact: Any = SimpleNamespace(format="keras", digest="0a1b")

    def key(location: str, accepts: str) -> str:
        near = OpenSetImages(accepts, dataset.select("test"))
        where = Workspace.at(data.parent / location)
        return Evaluate.of(
            where,
            "a",
            artifact,
            dataset,
            "eye",
            section,
            open_set=near,
        ).key

    assert key("here", "eye") == key("there", "eye") != key("here", "other")


RECIPE = """\
name: gate
data:
  path: data.csv
  hard_negatives: {{label: {label}}}
steps:
  pupil: {{use: train}}
evaluate:
  open_set:
    accepts: {accepts}
    path: {path}
"""


def _problems(data: Path, **changes: str) -> list[str]:
    file = data.parent / "recipe.yaml"
    file.write_text(RECIPE.format(**{"label": "other", "accepts": "eye", "path": "near"} | changes))
    try:
        plan = read_plan(file)
    except RecipeError as error:
        return [f"{problem.line}: {problem.message}" for problem in error.problems]
    assert plan.near_misses == data.parent / "near"
    return []


def test_a_gate_and_its_hard_negatives_are_checked_before_anything_runs(data: Path):
    picture(data.parent / "near" / "moon" / "a.png", (1, 2, 3))
    (data.parent / "empty").mkdir()
    assert _problems(data) == []
    for changes, said in (
        ({"accepts": "eyes"}, ["9: accepts is 'eyes', which is not one of the classes"]),
        ({"label": "others"}, ["4: label is 'others', which is not one of the classes"]),
        ({"path": "nearr"}, ["10: no near misses at"]),
        ({"path": "empty"}, ["10: "]),
    ):
        problems = _problems(data, **changes)
        assert len(problems) == 1
        assert problems[0].startswith(said[0])


def test_a_gate_needs_two_classes(data: Path):
    picture(data.parent / "near" / "moon" / "a.png", (1, 2, 3))
    text = data.read_text() + "\neye-train-0.png,third,train,x,p"
    data.write_text(text.replace("eye-train-0.png,eye,train,whole,peye-train-0.png\n", ""))
    (problem,) = _problems(data)
    assert "a filter tells two classes apart, but the data has ['eye', 'other', 'third']" in problem
