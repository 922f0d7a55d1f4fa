"""Sweeps, seeds and controls through the command line: nothing is made twice."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from command_line import run_pupila

from pupila_flows.data.reading import read_data
from pupila_flows.data.synthetic import write_images, write_teacher
from pupila_flows.results import RunResult

pytestmark = pytest.mark.long

RECIPE = """\
name: swept
seed: 3
repeat: 2
data: {path: images, positive: glaucoma}
teachers:
  teacher: {path: teacher.keras, classes: [glaucoma, normal]}
steps:
  pupil:
    use: distill
    from: teacher
    with: {student: conv-32-64-8, size: 32, epochs: 1, augmentation: {views: 2}}
sweep:
  pupil.alpha: [0, 0.5]
"""


def _ignore(done: int, total: int, what: str) -> None:
    del done, total, what


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the sweep has run once."""
    folder = tmp_path_factory.mktemp("sweep")
    write_images(folder / "images", {"train": 40, "validation": 20, "test": 20}, 5, _ignore)
    dataset = read_data(folder / "images", None, folder / "cache")
    write_teacher(dataset, folder / "teacher.keras", seed=5, progress=_ignore)
    (folder / "recipe.yaml").write_text(RECIPE)
    _pupila(folder, "sweep", "recipe.yaml")
    return folder


def _pupila(folder: Path, *arguments: str) -> str:
    return run_pupila(folder, *arguments).stdout


def _latest(folder: Path) -> Path:
    return folder / ".pupila" / "runs" / "swept" / "latest"


def _result(folder: Path) -> RunResult:
    return RunResult.model_validate_json((_latest(folder) / "result.json").read_text())


def _children(folder: Path) -> dict[Path, int]:
    """When each child process last wrote to its log."""
    return {
        file: file.stat().st_mtime_ns
        for file in (folder / ".pupila" / "logs").glob(f"*-{'[0-9a-f]' * 12}.log")
    }


def _predictions(folder: Path) -> set[Path]:
    return set((folder / ".pupila" / "cache" / "predictions").glob("*.npy"))


def test_each_point_and_seed_is_evaluated_beside_one_control_per_seed(folder: Path):
    result = _result(folder)
    evaluated = {entry.name for entry in result.entries if entry.evaluation}
    points = ("pupil[alpha=0]", "pupil[alpha=0.5]", "pupil (control)")
    assert evaluated == {"teacher", *points, *(f"{name}#4" for name in points)}
    controls = {entry.control for entry in result.entries if entry.settings}
    assert controls == {"pupil (control)", "pupil (control)#4"}
    assert result.sweep == {"pupil.alpha": (0, 0.5)}


def test_the_figures_stand_in_a_table_for_other_programs_and_in_a_plot(folder: Path):
    with (_latest(folder) / "sweep.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    accuracy = {
        entry.name: entry.evaluation.metrics.accuracy.value
        for entry in _result(folder).entries
        if entry.evaluation
    }
    assert {row["name"]: float(row["test_accuracy"]) for row in rows} == pytest.approx(accuracy)
    assert {row["pupil.alpha"] for row in rows if row["role"] == "pupil"} == {"0", "0.5"}
    assert (_latest(folder) / "sweep.svg").read_text().startswith("<svg")
    assert (_latest(folder) / "report.html").stat().st_size > 10_000


def test_a_second_sweep_runs_no_teacher_and_trains_nothing(folder: Path):
    children, predictions = _children(folder), _predictions(folder)
    last = _latest(folder).resolve()
    _pupila(folder, "sweep", "recipe.yaml")
    assert _children(folder) == children, "a child process was started"
    assert _predictions(folder) == predictions
    assert _latest(folder).resolve() == last


def test_a_value_more_makes_only_what_is_new_and_asks_the_teacher_nothing(folder: Path):
    known = {entry.name for entry in _result(folder).entries}
    before = _predictions(folder)
    (folder / "more.yaml").write_text(RECIPE.replace("[0, 0.5]", "[0, 0.5, 0.9]"))
    _pupila(folder, "sweep", "more.yaml")
    made = {entry.name for entry in _result(folder).entries if not entry.cached}
    assert made == {"pupil[alpha=0.9]", "pupil[alpha=0.9]#4"}
    assert {entry.name for entry in _result(folder).entries} == known | made
    # what each of the two was evaluated by: raw answers to validation and test images, and one more
    assert len(_predictions(folder) - before) == 3 * len(made)


def test_a_plain_run_of_the_recipe_takes_its_settings_as_they_are_written(folder: Path):
    done = _pupila(folder, "run", "recipe.yaml")
    result = _result(folder)
    names = [entry.name for entry in result.entries]
    seeds = ["pupil", "pupil (control)"]
    assert names == ["teacher", *seeds, *(f"{name}#4" for name in seeds)]
    assert [entry.cached for entry in result.entries] == [True, False, True, False, True]
    assert result.sweep == {}
    assert "pupil (control)" in done


def test_a_recipe_without_values_to_try_is_refused(folder: Path, tmp_path: Path):
    text = RECIPE[: RECIPE.index("sweep:")]
    (folder / "plain.yaml").write_text(text)
    done = run_pupila(folder, "sweep", "plain.yaml", "-w", tmp_path, code=2)
    assert "names no values to try" in done.stderr
    assert "pupila run" in done.stderr
