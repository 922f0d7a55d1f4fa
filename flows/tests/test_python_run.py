"""What `run` makes of a recipe and its changes before a process is started."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pupila.testing import draw_colours
from pupila_flows import PupilaError, Recipe, run
from pupila_flows.api.recipe import write_recipe
from pupila_flows.recipe.overrides import Changes
from pupila_flows.recipe.source import parse_source
from pupila_flows.workspace import Workspace

TEACHER = {"path": "model.keras", "classes": ["blue", "red"]}
STEPS = {
    "lite": {"use": "export-tflite", "from": "big"},
    "page": {"use": "site", "from": "lite"},
}
GATE = {"margins": {"accuracy": 0.01}, "fidelity": None}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with images and a teacher that nobody opens."""
    folder = tmp_path / "here"
    draw_colours(folder / "images", images=2)
    (folder / "model.keras").write_bytes(b"PK")
    monkeypatch.chdir(folder)
    return folder


def colours(**sections: Any) -> Recipe:
    given: dict[str, Any] = {"data": {"path": "images"}, "teachers": {"big": TEACHER}}
    given |= {"steps": STEPS}
    return Recipe(name="colours", **(given | sections))


class Started(Exception):
    """A run that would have started now."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Changes]]:
    """The recipes and changes with which runs would have started."""
    runs: list[tuple[Path, Changes]] = []

    def start(recipe: Path, changes: Changes, workspace: Workspace, *, sweeps: bool) -> None:
        del workspace, sweeps
        runs.append((recipe, changes))
        raise Started

    monkeypatch.setattr("pupila_flows.api.run.run_in_process", start)
    return runs


def test_paths_in_changes_start_from_the_folder_of_a_recipe_in_code(
    here: Path, started: list[tuple[Path, Changes]], monkeypatch: pytest.MonkeyPatch
):
    recipe = colours(data={"path": "nowhere"})
    monkeypatch.chdir("/")
    changes = {"data.path": "images", "publish": {"to": "models", "name": "eyes"}}
    with pytest.warns(UserWarning), pytest.raises(Started):
        run(recipe, changes=changes, workspace=here / "workspace")
    ((_, made),) = started
    assert made.given() == {
        "data": {"path": str(here / "images")},
        "publish": {"to": str(here / "models"), "name": "eyes"},
    }


def test_changes_take_paths_and_numbers_of_numpy_as_a_recipe_does(
    here: Path, started: list[tuple[Path, Changes]]
):
    file = here / "recipe.yaml"
    file.write_text(colours().to_yaml())
    changes = {
        "seed": np.int64(3),
        "data.path": here / "images",
        "sweep": {"page.title": np.array(["a", "b"])},
        "steps.page.with": {"title": np.str_("Eyes")},
    }
    for recipe in (file, colours()):
        with pytest.warns(UserWarning), pytest.raises(Started):
            run(recipe, changes=changes, workspace=here / "workspace")
    assert [json.loads(json.dumps(made.given())) for _, made in started] == 2 * [
        {
            "seed": 3,
            "data": {"path": str(here / "images")},
            "sweep": {"page.title": ["a", "b"]},
            "steps": {"page": {"with": {"title": "Eyes"}}},
        }
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": None}, "The change of 'seed' is None, which changes nothing: give a value"),
        ({"seed": object()}, "In the changes, 'seed' is <object"),
    ],
)
def test_a_change_that_is_no_value_is_refused(here: Path, changes: dict[str, Any], message: str):
    with pytest.raises(PupilaError, match=message):
        run(colours(), changes=changes, workspace=here / "workspace")


@pytest.mark.parametrize("sweep", [False, True])
def test_a_run_warns_of_what_the_command_line_warns_of(
    here: Path, started: list[tuple[Path, Changes]], *, sweep: bool
):
    recipe = colours(gate=GATE, sweep={"page.title": ["a", "b"]})
    file = here / "recipe.yaml"
    file.write_text(recipe.to_yaml())
    texts: list[list[str]] = []
    for given in (recipe, file):
        with warnings.catch_warnings(record=True) as caught, pytest.raises(Started):
            warnings.simplefilter("always")
            run(given, sweep=sweep, workspace=here / "workspace")
        assert {warning.filename for warning in caught} == {__file__}
        texts.append([str(warning.message) for warning in caught])
    in_code, in_file = texts
    assert sum(text.startswith("page: The page has no filter") for text in in_code) == 1
    assert sum(f"{file}:" in text and ": page: The page has no" in text for text in in_file) == 1
    unreachable = ["The gate asks for margins" in text for text in in_code]
    assert any(unreachable) is not sweep


def test_a_path_in_code_means_what_it_means_in_a_file(
    here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    recipe = colours(
        data={"path": "~/images"},
        external={"clinic": {"path": "data:x", "folder": "teacher:x"}},
        publish={"to": "~/models"},
    )
    written = write_recipe(recipe, Workspace.at(tmp_path / "workspace")).read_text()
    value = parse_source(Path("recipe"), written).value
    assert value["data"]["path"] == str(here / "~" / "images")
    assert value["external"]["clinic"]["path"] == str(here / "data:x")
    assert value["external"]["clinic"]["folder"] == str(here / "teacher:x")
    assert value["publish"]["to"] == str(tmp_path / "home" / "models")


def test_a_registry_that_a_variable_leaves_empty_is_not_the_current_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("NOWHERE", raising=False)
    recipe = colours(publish={"to": "${NOWHERE:-}"})
    with pytest.raises(PupilaError, match=r"publish.to: '\$\{NOWHERE:-\}' is empty: set its"):
        run(recipe, workspace=here / "workspace")
