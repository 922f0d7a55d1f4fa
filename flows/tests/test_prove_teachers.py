"""Teachers must be above chance on the validation images before anything learns from them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import run_pupila

from pupila.chance import check_chance
from pupila.store import Store
from pupila.testing import (
    colour_dataset,
    colour_teacher,
    draw_colours,
    ignore_progress,
    save_scaled_teacher,
)
from pupila_flows.jobs.prove_teacher import ProveTeacher
from pupila_flows.results import RunResult
from pupila_flows.workspace import Workspace

RECIPE = """\
name: colours
data: {path: images, expectations: {minimum_images: 2}}
teachers:
  big: {path: TEACHER}
steps:
STEPS
evaluate: {latency_repeats: 5}
"""
PUPIL = """\
  pupil:
    use: distill
    from: big
    control: false
    with: {student: conv-32-64-8, size: 32, epochs: 2, augmentation: {views: 1}}"""

Recipes = Callable[..., Path]


@pytest.mark.parametrize(
    ("slope", "classes", "above", "order"),
    [
        (1, ("blue", "red"), True, None),
        (-1, ("red", "blue"), True, None),
        (1, ("red", "blue"), False, ("blue", "red")),
        (-1, ("blue", "red"), False, ("red", "blue")),
        (0, ("blue", "red"), False, None),
    ],
)
def test_a_teacher_is_held_against_the_labels_by_its_own_order_of_the_classes(
    tmp_path: Path,
    slope: float,
    classes: tuple[str, str],
    above: bool,
    order: tuple[str, str] | None,
):
    workspace = Workspace.at(tmp_path / "workspace")
    teacher = colour_teacher(workspace.store, slope, classes)
    images = colour_dataset(tmp_path)
    job = ProveTeacher.of(workspace, "big", teacher, images.select("validation"), "red")
    check = job.run(ignore_progress)
    assert check is not None
    assert (check.above, check.order) == (above, order)
    assert check.counts == {"blue": 12, "red": 12}
    if slope:
        assert check.reached == (1 if above else 0)
    files = {file: file.stat().st_mtime_ns for file in workspace.predictions.folder.glob("*.npy")}
    workspace.predictions.of(teacher, images.select("validation"), ignore_progress)
    assert files == {f: f.stat().st_mtime_ns for f in workspace.predictions.folder.glob("*.npy")}, (
        "the teacher was asked a second time"
    )


@pytest.fixture
def recipe(tmp_path: Path) -> Recipes:
    """Write a recipe with a teacher of a slope: 1 is right, -1 has its classes turned round."""
    draw_colours(tmp_path / "images")

    def write(slope: float, more: str = "", steps: str = PUPIL) -> Path:
        path = colour_teacher(Store(tmp_path / "teachers"), slope).path
        text = RECIPE.replace("{path: TEACHER}", f"{{path: {path}{more}}}")
        (tmp_path / "recipe.yaml").write_text(text.replace("STEPS", steps))
        return tmp_path / "recipe.yaml"

    return write


def _run(recipe: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    return run_pupila(recipe.parent, "run", recipe.name, *settings, code=None)


@pytest.mark.slow
def test_a_run_with_a_teacher_below_chance_ends_before_any_step_and_names_the_order(
    recipe: Recipes, tmp_path: Path
):
    done = _run(recipe(-1))
    assert done.returncode == 2, done.stdout + done.stderr
    output = " ".join(done.stderr.split())
    assert (
        "error: Teacher 'big' is not shown to be above chance on 24 validation images (12 blue, 12 "
        "red): AUC 0.000, p = 1 in the one-sided rank test" in output
    )
    assert "With the classes in the order red, blue it would reach 1.000" in output
    assert "Nothing was trained." in output
    assert not list((tmp_path / ".pupila" / "runs").glob("*/*"))
    assert not list((tmp_path / ".pupila" / "logs").glob("pupil-*"))


@pytest.mark.long
def test_a_teacher_of_scaled_pixels_is_refused_until_the_recipe_names_the_scaling(tmp_path: Path):
    draw_colours(tmp_path / "images")
    save_scaled_teacher(tmp_path / "scaled.keras")
    text = RECIPE.replace("STEPS", "  lite: {use: export-tflite, from: big}")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text.replace("TEACHER", "scaled.keras, classes: [blue, red]"))
    refused = _run(recipe)
    assert refused.returncode == 2, refused.stderr
    output = " ".join(refused.stderr.split())
    assert "It is given raw RGB 0..255: if the program that trained it scaled pixels" in output
    assert "write `preprocess: scale` (or center, imagenet, caffe) into its section" in output
    recipe.write_text(
        text.replace("TEACHER", "scaled.keras, classes: [blue, red], preprocess: scale")
    )
    done = _run(recipe)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / ".pupila" / "runs" / "colours" / "latest"
    result = RunResult.model_validate_json((folder / "result.json").read_text())
    store = Workspace.at(tmp_path / ".pupila").store
    for entry in result.entries:
        assert entry.evaluation and entry.evaluation.metrics.accuracy.value == 1
    (origin,) = {
        store.open(entry.artifact).record.origin.model_dump_json()
        for entry in result.entries
        if entry.artifact and entry.name == "big"
    }
    assert '"config":{"preprocess":"scale"}' in origin


@pytest.mark.long
def test_with_few_validation_images_a_run_goes_on_only_if_the_teacher_is_said_to_be_unproven(
    recipe: Recipes, tmp_path: Path
):
    for file in (tmp_path / "images" / "validation").glob("*/*.png"):
        if int(file.stem) > 1:
            file.unlink()
    lite = "  lite: {use: export-tflite, from: big}"
    refused = _run(recipe(1, steps=lite))
    assert refused.returncode == 2, refused.stderr
    output = " ".join(refused.stderr.split())
    assert "on 4 validation images (2 blue, 2 red): AUC 1.000, p = 0.17 in the one-sided" in output
    assert "more validation images; or write `unproven: true` into its section" in output
    done = _run(recipe(1, ", unproven: true", lite))
    assert done.returncode == 0, done.stderr
    sentence = "Teacher big is not shown to be above chance on 4 validation images"
    assert f"warning: {sentence}" in done.stderr
    folder = tmp_path / ".pupila" / "runs" / "colours" / "latest"
    page = (folder / "report.html").read_text()
    assert page.index(sentence) < page.index("<main>")
    result = RunResult.model_validate_json((folder / "result.json").read_text())
    assert len(result.unproven) == 1


def test_the_sentence_names_every_class_of_three():
    check = check_chance([[1, 0, 0]] * 6, [0, 0, 1, 1, 2, 2], ("cat", "dog", "owl"))
    assert check.describe("validation") == (
        "not shown to be above chance on 6 validation images (2 cat, 2 dog, 2 owl): accuracy "
        "0.333, and the 95 % interval begins at 0.043, where the largest class alone is 0.333"
    )
