"""Teachers of a task beyond classification: in the store, on the command line, as a job."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from pupila import PupilaError, keras_files
from pupila.spec import OutputSpec
from pupila.testing.spots import SPOTS, draw_spots, spots_installed
from pupila_flows.execution.session import perform, session
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.plan.plan import PlannedTeacher
from pupila_flows.run.add_teacher import add_teacher
from pupila_flows.run.evaluate_models import EvaluationRequest, evaluate_models
from pupila_flows.run.given_models import parse_classes, planned_models
from pupila_flows.workspace import Workspace

GRID = OutputSpec(task=SPOTS, kind="grid", classes=("spot",))


@pytest.fixture(autouse=True)
def spots(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Generator[None]:
    site = tmp_path_factory.mktemp("site")
    monkeypatch.setenv("PYTHONPATH", str(site))  # of the processes that do jobs
    with spots_installed(site):
        yield


@pytest.fixture
def locator(tmp_path: Path) -> Path:
    """A Keras model that gives a heat map of 4 × 5."""
    keras = keras_files.import_keras()
    image = keras.Input((16, 20, 3))
    keras.Model(image, keras.layers.Conv2D(1, 4, strides=4)(image)).save(tmp_path / "big.keras")
    return tmp_path / "big.keras"


def test_a_teacher_is_stored_with_what_it_has_learned(tmp_path: Path, locator: Path):
    workspace = Workspace.at(tmp_path / "workspace")
    added = add_teacher(workspace, "big", locator, output="grid", task=SPOTS)
    assert added.changed
    assert added.teacher.record.spec == GRID
    again = add_teacher(workspace, "big", locator)  # with the task of the current version
    assert (again.changed, again.teacher.version) == (False, 1)
    planned = PlannedTeacher("big", locator, "keras", GRID)
    with session(workspace, workers=1):
        stored = perform(ImportTeacher.of(workspace, planned))
    record = workspace.store.open(stored.value.artifact).record
    assert record.output == GRID.model_copy(update={"size": (4, 5, 1)})
    artifact = workspace.store.path_of(stored.value.artifact)
    from_artifact = add_teacher(workspace, "whole", artifact)
    assert from_artifact.teacher.record.spec == record.output
    assert not add_teacher(workspace, "whole", artifact).changed
    with pytest.raises(PupilaError, match="says that it has learned spots: leave --task out"):
        add_teacher(workspace, "whole", artifact, task="classification")


@pytest.mark.parametrize(
    ("classes", "output", "task", "message"),
    [
        (None, "grit", SPOTS, "output is 'grit': give one of coordinates, grid.*'grid'"),
        (("a", "b"), None, SPOTS, r"The classes \['a', 'b'\] are not valid: takes 1 name at most"),
        (None, None, "spot", "No task named 'spot'. Did you mean 'spots'?"),
    ],
)
def test_a_teacher_that_does_not_fit_its_task_is_refused(
    classes: tuple[str, ...] | None,
    output: str | None,
    task: str,
    message: str,
    tmp_path: Path,
    locator: Path,
):
    workspace = Workspace.at(tmp_path / "workspace")
    with pytest.raises(PupilaError, match=message):
        add_teacher(workspace, "big", locator, classes, output, task=task)
    with pytest.raises(PupilaError, match=message):
        planned_models([locator], classes, (), output, task)


def test_models_named_by_a_command_have_the_names_and_kind_of_the_task(locator: Path):
    (planned,) = planned_models([locator], None, ("spot",), None, SPOTS)
    assert planned.spec == OutputSpec(task=SPOTS, kind="coordinates", classes=("spot",))
    (planned,) = planned_models([locator], ("disc",), (), "grid", SPOTS)
    assert (planned.spec.kind, planned.spec.classes) == ("grid", ("disc",))


@pytest.mark.long
def test_a_model_file_is_evaluated_under_the_name_of_the_columns(tmp_path: Path, locator: Path):
    listing = draw_spots(tmp_path / "images")
    text = listing.read_text().replace("path,x,y,split", "path,left_x,left_y,split", 1)
    listing.write_text(text)
    request = EvaluationRequest(models=(locator,), data=listing, output="grid", task=SPOTS)
    workspace = Workspace.at(tmp_path / "workspace")
    (model,) = evaluate_models(workspace, request).models
    assert model.artifact.record.output.classes == ("left",)
    assert model.result.evaluation is not None
    stored = workspace.store.path_of(model.artifact.digest)
    with pytest.raises(PupilaError, match="has the labels of 'right', not of 'left': give the col"):
        listing.write_text(text.replace("left", "right"))
        evaluate_models(workspace, EvaluationRequest(models=(stored,), data=listing))


def test_one_name_is_enough_where_the_task_says_so():
    assert parse_classes("disc", SPOTS) == ("disc",)
    with pytest.raises(PupilaError, match="takes 1 name at most in the task 'spots', and has 2"):
        parse_classes("a,b", SPOTS)
    with pytest.raises(PupilaError, match="needs 2 or more entries, and has 1"):
        parse_classes("disc")
