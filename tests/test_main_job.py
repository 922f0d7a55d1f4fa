"""The main job through the command line: from images and a teacher to evaluated exports."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command_line import PUPILA, run_pupila

from pupila_flows.data.reading import read_data
from pupila_flows.data.synthetic import write_images, write_teacher
from pupila_flows.results import Entry, RunResult

pytestmark = pytest.mark.slow

RECIPE = """\
name: small
seed: 3
data:
  path: images
  positive: glaucoma
teachers:
  teacher: {path: teacher.keras, classes: [glaucoma, normal]}
steps:
  pupil:
    use: distill
    from: teacher
    with: {student: conv-32-64-8, size: 32, epochs: 2, augmentation: {views: 2}}
  control:
    use: train
    with: {student: conv-32-64-8, size: 32, epochs: 2, augmentation: {views: 2}}
  tflite: {use: export-tflite, from: pupil}
  float16: {use: quantize-float16, from: tflite}
  dynamic: {use: quantize-dynamic, from: tflite}
  int8: {use: quantize-int8, from: tflite, with: {calibration_images: 20}}
  tfjs: {use: export-tfjs, from: pupil}
"""
NAMES = ("teacher", "pupil", "control", "tflite", "float16", "dynamic", "int8", "tfjs")


def _ignore(done: int, total: int, what: str) -> None:
    del done, total, what


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the recipe has run once: images, teacher, recipe, workspace."""
    folder = tmp_path_factory.mktemp("main-job")
    counts = {"train": 60, "validation": 20, "test": 20}
    write_images(folder / "images", counts, seed=5, progress=_ignore)
    dataset = read_data(folder / "images", None, folder / "cache")
    write_teacher(dataset, folder / "teacher.keras", seed=5, progress=_ignore)
    (folder / "recipe.yaml").write_text(RECIPE)
    run_pupila(folder, "run", "recipe.yaml")
    return folder


def _heed_interrupts() -> None:
    """Undo what a shell does to programs that it starts in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _entries(folder: Path) -> dict[str, Entry]:
    """Entries of the latest run by name."""
    latest = folder / ".pupila" / "runs" / "small" / "latest"
    result = RunResult.model_validate_json((latest / "result.json").read_text())
    assert (latest / "report.html").stat().st_size > 10_000
    return {entry.name: entry for entry in result.entries}


def test_every_model_is_made_and_evaluated_in_its_own_runtime(folder: Path):
    entries = _entries(folder)
    assert tuple(entries) == NAMES
    runtimes = {
        name: entry.evaluation.runtime for name, entry in entries.items() if entry.evaluation
    }
    assert set(runtimes) == set(NAMES)
    assert "Keras" in runtimes["pupil"]
    assert "LiteRT" in runtimes["int8"]
    assert "TF.js" in runtimes["tfjs"]


@pytest.mark.long
def test_every_artifact_is_tried_where_it_is_named_and_fails_where_it_answers_otherwise(
    folder: Path,
):
    asked = "evaluate: {runtimes: [litert], threads: [2], probe_images: 10, difference: 0}\n"
    (folder / "tried.yaml").write_text(RECIPE + asked)
    done = run_pupila(folder, "run", "tried.yaml", code=1)
    entries = _entries(folder)
    (check,) = (outcome.check for outcome in entries["tflite"].runtimes)
    assert check and check.agreement and (check.images, check.latency.threads) == (10, 2)
    assert check.agreement.reference == "its source (keras)"
    assert 0 < check.agreement.largest_difference < 1e-4
    assert [outcome.threads for outcome in entries["tfjs"].runtimes] == [
        1
    ]  # under Node it has no more
    assert all(
        outcome.check and not outcome.check.agreement for outcome in entries["float16"].runtimes
    )
    assert {name for name, entry in entries.items() if entry.error} == {"tflite", "tfjs"}
    assert "litert: a probability is" in str(entries["tflite"].error)
    assert "`evaluate.difference` allows 0.0" in done.stderr
    run_pupila(folder, "run", "tried.yaml", code=1)
    assert {name: entry.runtimes for name, entry in _entries(folder).items()} == {
        name: entry.runtimes for name, entry in entries.items()
    }, "what was tried before is remembered"


def test_exports_answer_as_the_pupil_they_were_made_from(folder: Path):
    accuracy = {
        name: entry.evaluation.metrics.accuracy.value
        for name, entry in _entries(folder).items()
        if entry.evaluation
    }
    for name in ("tflite", "float16", "tfjs"):
        assert accuracy[name] == accuracy["pupil"]


def test_int8_is_smaller_than_float(folder: Path):
    sizes = {
        name: entry.evaluation.cost.size_bytes
        for name, entry in _entries(folder).items()
        if entry.evaluation
    }
    assert sizes["int8"] < 0.5 * sizes["tflite"]
    assert sizes["float16"] < 0.7 * sizes["tflite"]


def test_a_second_run_of_the_same_recipe_executes_nothing(folder: Path):
    logs = {
        file: file.stat().st_mtime_ns
        for file in (folder / ".pupila" / "logs").glob(f"*-{'[0-9a-f]' * 12}.log")
    }
    server = (folder / ".pupila" / "logs" / "prefect-server.log").stat().st_mtime_ns
    last = (folder / ".pupila" / "runs" / "small" / "latest").resolve()
    done = run_pupila(folder, "run", "recipe.yaml")
    after = {
        file: file.stat().st_mtime_ns
        for file in (folder / ".pupila" / "logs").glob(f"*-{'[0-9a-f]' * 12}.log")
    }
    assert after == logs, "a child process was started"
    assert (folder / ".pupila" / "logs" / "prefect-server.log").stat().st_mtime_ns == server
    assert f"Nothing has changed since the run {last}." in done.stderr
    assert {file.name for file in last.parent.iterdir()} == {last.name, "latest"}


@pytest.mark.long
@pytest.mark.parametrize(
    ("split", "kept"),
    [
        pytest.param("train", {"teacher"}, id="training image"),
        pytest.param("test", set(NAMES), id="test image"),
    ],
)
def test_only_what_depends_on_a_changed_image_is_made_again(
    folder: Path, tmp_path: Path, split: str, kept: set[str]
):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, symlinks=True)
    next((copy / "images" / split / "normal").iterdir()).unlink()
    run_pupila(copy, "run", "recipe.yaml")
    assert {name for name, entry in _entries(copy).items() if entry.cached} == kept


def test_ctrl_c_ends_the_run_at_once_and_the_next_one_goes_on(folder: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, symlinks=True)
    recipe = copy / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("epochs: 2", "epochs: 900, patience: 900"))
    command = [*PUPILA, "run", "recipe.yaml"]
    running = subprocess.Popen(
        command, cwd=copy, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_interrupts
    )
    checkpoints = copy / ".pupila" / "scratch"
    deadline = time.monotonic() + 120
    while not list(checkpoints.glob("*/training.npz")):
        assert time.monotonic() < deadline, "no epoch ended"
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, output = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "stopped; what was finished is kept" in output
    assert list(checkpoints.glob("*/training.npz"))


def test_bad_data_stops_the_run_before_any_training(folder: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    for name in ("images", "recipe.yaml", "teacher.keras"):
        source = folder / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
    image = next((copy / "images" / "train" / "normal").iterdir())
    shutil.copy(image, copy / "images" / "test" / "normal" / f"again{image.suffix}")
    done = run_pupila(copy, "run", "recipe.yaml", code=1)
    assert "two splits" in done.stderr
    assert "Data Docs" in done.stderr
    assert not list((copy / ".pupila" / "store" / "objects").glob("*"))
