"""Plugins that cannot do what a recipe asks of them are reported before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from pupila.dataset import LABELLED_SPLITS
from pupila.plugin import Config, Exporter, Loader, Plugin, Runner
from pupila.plugin_loading import RegisteredPlugin
from pupila.plugin_registry import PluginRegistry, installed
from pupila.testing import plugin_installed
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError
from pupila_flows.report.terminal import plugin_rows

CODE = f"{__name__}:code"

KERAS = Runner(name="keras", summary="-", implementation=CODE, format="keras")
LITERT = Runner(name="litert", summary="-", implementation=CODE, format="tflite")
LOADER = Loader(
    name="keras",
    summary="-",
    implementation=CODE,
    produces="keras",
    recognises=lambda path: path.suffix == ".keras",
)
EXPORT = Exporter(
    name="export",
    summary="-",
    implementation=CODE,
    accepts=frozenset({"keras"}),
    produces="tflite",
)
RECIPE = """\
name: good
data: {path: images}
teachers:
  big: {path: big.keras, classes: [a, b]}
  huge: {path: big.keras, classes: [a, b]}
steps:
  lite: {use: export, from: big}
  again: {use: export, from: huge}
"""


STUDENTS = """
from pupila import Student, hookimpl


@hookimpl
def pupila_students():
    yield Student(name="there", summary="-", implementation="json:loads", size=8)
    yield Student(name="lost", summary="-", implementation="json:laods", size=8)
"""


class Taught(Config):
    student: str = "there"

    def uses(self) -> Sequence[Plugin]:
        return (installed().student(self.student),)


def code() -> None:
    """Stand for an implementation."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("PUPILA_RUNNERS", "PUPILA_LOADERS"):
        monkeypatch.delenv(variable, raising=False)
    for split, label in product(LABELLED_SPLITS, "ab"):
        file = tmp_path / "images" / split / label / "1.png"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"PNG")
    (tmp_path / "big.keras").write_bytes(b"PK")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def problems(folder: Path, *ours: Plugin, theirs: Plugin | None = None) -> list[tuple[int, str]]:
    """Return the line and the text of each mistake that is found with these plugins."""
    entries = [RegisteredPlugin(plugin, "ours", "1") for plugin in ours]
    entries += [RegisteredPlugin(theirs, "theirs", "2")] if theirs else []
    try:
        read_plan(folder / "recipe.yaml", PluginRegistry(tuple(entries)))
    except RecipeError as error:
        return [(problem.line, problem.message) for problem in error.problems]
    return []


def test_a_format_without_a_primary_runner_is_reported_once_at_its_first_use(folder: Path):
    assert problems(folder, KERAS, LITERT, LOADER, EXPORT) == []
    ((line, message),) = problems(folder, KERAS, LOADER, EXPORT)
    assert line == 7
    assert message.startswith("No installed plugin runs artifacts of format 'tflite'.")
    tried = replace(LITERT, primary=False)
    assert problems(folder, KERAS, tried, LOADER, EXPORT) == [(line, message)]
    ((line, message),) = problems(folder, LITERT, LOADER, EXPORT)
    assert line == 4
    assert "format 'keras'" in message


def test_what_makes_no_model_needs_no_runner(folder: Path):
    assert problems(folder, KERAS, LOADER, replace(EXPORT, evaluated=False)) == []


def test_two_runners_of_one_format_are_reported_before_anything_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    plugins, rival = (KERAS, LITERT, LOADER, EXPORT), replace(KERAS, name="aaa-keras")
    ((line, message),) = problems(folder, *plugins, theirs=rival)
    assert line == 4
    assert "'aaa-keras' of theirs, 'keras' of ours" in message
    monkeypatch.setenv("PUPILA_RUNNERS", "keras")
    assert problems(folder, *plugins, theirs=rival) == []


def test_two_loaders_of_one_file_are_reported_before_anything_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    plugins, rival = (KERAS, LITERT, LOADER, EXPORT), replace(LOADER, name="aaa-keras")
    mistakes = problems(folder, *plugins, theirs=rival)
    assert [line for line, _ in mistakes] == [4, 5]
    assert all("'aaa-keras' of theirs, 'keras' of ours" in message for _, message in mistakes)
    monkeypatch.setenv("PUPILA_LOADERS", "keras")
    assert problems(folder, *plugins, theirs=rival) == []


@pytest.mark.parametrize(
    ("which", "line"),
    [(LOADER, 4), (KERAS, 4), (EXPORT, 7), (LITERT, 7)],
    ids=["loader", "runner of the teacher", "exporter", "runner of its product"],
)
def test_code_that_is_not_there_is_reported_once_before_anything_runs(
    folder: Path, which: Plugin, line: int
):
    lost = replace(which, implementation=f"{__name__}:cod")
    plugins = [lost if plugin is which else plugin for plugin in (KERAS, LITERT, LOADER, EXPORT)]
    ((number, message),) = problems(folder, *plugins)
    assert number == line
    assert message.startswith(f"The code of {which.kind} {which.name!r} of ours 1 cannot be found")
    assert f"module {__name__!r} has no 'cod'. Did you mean 'code'?" in message


def test_the_lost_code_of_a_loader_that_only_refuses_is_reported_too(folder: Path):
    lost = replace(LOADER, produces="", implementation="no_such_code:refuse")
    messages = [message for _, message in problems(folder, KERAS, LITERT, lost, EXPORT)]
    assert [message for message in messages if "module 'no_such_code' was not found" in message]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("from: big}", "from: big, with: {student: lost}}", 7),
        ("steps:", "sweep: {lite.student: [there, lost]}\nsteps:", 6),
    ],
)
def test_the_lost_code_of_a_student_is_reported_where_it_is_named(
    folder: Path, tmp_path: Path, old: str, new: str, line: int
):
    (folder / "recipe.yaml").write_text(RECIPE.replace(old, new))
    plugins = (KERAS, LITERT, LOADER, replace(EXPORT, config=Taught))
    with plugin_installed(tmp_path / "path", "students-dist", "lost_students", STUDENTS):
        ((number, message),) = problems(folder, *plugins)
    assert number == line
    assert message.startswith("The code of student 'lost' of students-dist 1.0 cannot be found")


def test_rivals_are_listed_all_the_same():
    entries = [RegisteredPlugin(KERAS, "ours", "1")]
    entries += [RegisteredPlugin(replace(KERAS, name="aaa-keras"), "theirs", "2")]
    rows = plugin_rows(PluginRegistry(tuple(entries)))
    assert {"keras", "aaa-keras"} <= {value for row in rows for value in row.values()}
