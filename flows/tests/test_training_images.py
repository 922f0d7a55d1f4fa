"""Which images a model was trained on goes with it, and none may be a test image of the gate."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from gate_cases import GateModels, gate_inputs, incumbent, scores_with_errors
from PIL import Image

from pupila.artifact import TRAINING_IMAGES_NAME, Artifact
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.testing import draw_images, ignore_progress, keras_artifact
from pupila_flows.data.reading import read_data
from pupila_flows.data.training_images import TrainingImages, seen_in_training
from pupila_flows.jobs.adopt_artifact import AdoptArtifact
from pupila_flows.jobs.artifact_job import StoredArtifact
from pupila_flows.jobs.import_teacher import ImportTeacher
from pupila_flows.jobs.run_step import RunStep
from pupila_flows.plan.expand import expand
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.gate import GateSection
from pupila_flows.run.add_teacher import add_teacher
from pupila_flows.run.context import Run
from pupila_flows.run.leaks import check_references
from pupila_flows.run.recall import Recall
from pupila_flows.teachers import TeacherStore
from pupila_flows.workspace import Workspace

RECIPE = """\
name: clinic
data: {path: images}
teachers: {big: {path: big.keras, classes: [square, triangle]}}
steps:
  lite: {use: export-tflite, from: big}
  cut: {use: threshold, from: lite, with: {positive: square, specificity: 0.5}}
gate: {}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images, a teacher and a recipe."""
    draw_images(tmp_path / "images", images=3)
    workspace = Workspace.at(tmp_path / "making")
    shutil.copy(keras_artifact(workspace.store).file(".keras"), tmp_path / "big.keras")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    workspace = Workspace.at(folder / "workspace")
    plan = read_plan(folder / "recipe.yaml")
    dataset = read_data(folder / "images", None, workspace.cache)
    return Run(plan, workspace, dataset, expand(plan), Recall(threads=1))


def images_of(dataset: Dataset, *splits: str) -> set[str]:
    return set(dataset.select(*splits).frame["sha256"])


def blended(source: Path, target: Path) -> Path:
    """Write nearly the same picture into another file."""
    with Image.open(source) as image:
        pixels = np.asarray(image, np.int16) + 1
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(target)
    return target


def others(folder: Path, name: str, files: Sequence[Path]) -> Dataset:
    """Return data of its own that was trained on files."""
    for number, file in enumerate(files):
        target = folder / name / "train" / "square" / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return read_data(folder / name, ("square", "triangle"), folder / "cache")


def test_the_images_of_all_splits_but_the_test_are_those_of_the_training(run: Run):
    known = TrainingImages.of(run.dataset)
    assert known.images.keys() == images_of(run.dataset, "train", "validation")
    assert all(len(phash) == 64 for phash in known.images.values())


def test_what_a_model_was_made_of_counts_and_may_be_unknown(run: Run):
    train, validation = (
        TrainingImages.of(run.dataset.select(split)) for split in ("train", "validation")
    )
    both = TrainingImages.merge([train, validation])
    assert both == TrainingImages.of(run.dataset)
    partly = TrainingImages.merge([train, None])
    assert (partly.images, partly.complete) == (train.images, False)
    assert not TrainingImages.merge([validation, partly]).complete
    assert TrainingImages.merge([]) == TrainingImages(complete=True, images={})


def test_test_images_are_known_by_file_and_by_picture(folder: Path, run: Run):
    first, second, *_ = run.dataset.select("test").paths
    copied = others(folder, "same", [first])
    assert seen_in_training(TrainingImages.of(copied), run.dataset, 0) == [first]
    alike = others(folder, "alike", [blended(second, folder / "blended.png")])
    assert second.read_bytes() != (folder / "blended.png").read_bytes()
    assert seen_in_training(TrainingImages.of(alike), run.dataset, 4) == [second]
    fresh = others(folder, "fresh", list(draw_images(folder / "f", seed=9).glob("*/*/*.png")))
    assert seen_in_training(TrainingImages.of(fresh), run.dataset, 4) == []


def test_a_test_image_that_the_data_itself_repeats_is_left_to_the_validation_of_the_data(
    folder: Path, run: Run
):
    first, second, *_ = run.dataset.select("test").paths
    blended(first, folder / "images" / "train" / "square" / "twin.png")
    again = read_data(folder / "images", None, folder / "cache")
    known = TrainingImages.of(others(folder, "theirs", [first, second]))
    assert seen_in_training(known, run.dataset, 4) == [first, second]
    assert seen_in_training(known, again, 4) == [second]
    assert seen_in_training(TrainingImages.of(again), again, 4) == []


def made(run: Run, name: str, inputs: Sequence[StoredArtifact]) -> Artifact:
    (node,) = (node for node in run.nodes if node.name == name)
    job = RunStep.of(run.workspace, node, run.dataset).on(inputs)
    return run.workspace.store.open(job.run(ignore_progress).artifact)


@pytest.mark.parametrize("known", [True, False])
def test_each_artifact_knows_the_images_behind_it(folder: Path, run: Run, known: bool):
    store = run.workspace.store
    teacher = keras_artifact(store, run.dataset.classes)
    theirs = others(folder, "theirs", list(draw_images(folder / "f", seed=9).glob("*/*/*.png")))
    if known:
        TrainingImages.of(theirs).write(teacher.path)
    lite = made(run, "lite", [StoredArtifact.of(teacher)])
    cut = made(run, "cut", [StoredArtifact.of(lite)])
    of_lite, of_cut = TrainingImages.read(lite.path), TrainingImages.read(cut.path)
    assert of_lite and of_cut
    expected = images_of(theirs, "train") if known else set[str]()
    assert (of_lite.images.keys(), of_lite.complete) == (expected, known)
    own = images_of(run.dataset, "train", "validation")
    assert (of_cut.images.keys(), of_cut.complete) == (expected | own, known)
    assert store.open(cut.digest) == cut  # they do not change the digest
    elsewhere = Workspace.at(folder / "elsewhere")
    AdoptArtifact.of(elsewhere, "cut", cut).run(ignore_progress)
    assert TrainingImages.read(elsewhere.store.path_of(cut.digest)) == of_cut


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"complete": true}'])
def test_what_a_model_has_seen_is_written_again_where_it_was_damaged(run: Run, content: bytes):
    teacher = keras_artifact(run.workspace.store, run.dataset.classes)
    TrainingImages(complete=True, images={}).write(teacher.path)
    lite = StoredArtifact.of(made(run, "lite", [StoredArtifact.of(teacher)]))
    (node,) = (node for node in run.nodes if node.name == "cut")
    job = RunStep.of(run.workspace, node, run.dataset).on([lite])
    result = job.run(ignore_progress)
    file = run.workspace.store.path_of(result.artifact) / TRAINING_IMAGES_NAME
    expected = file.read_bytes()
    file.write_bytes(content)
    assert job.is_intact(result)  # nothing is trained for it
    assert file.read_bytes() == expected
    assert len(list(file.parent.glob(f"{TRAINING_IMAGES_NAME}.damaged-*"))) == 1


def test_a_stored_teacher_records_what_it_was_trained_on_then_or_later(folder: Path, run: Run):
    workspace, classes = run.workspace, run.dataset.classes
    first = add_teacher(workspace, "big", folder / "big.keras", classes)
    assert first.changed and first.teacher.training_images is None
    again = add_teacher(workspace, "big", folder / "big.keras", trained_on=folder / "images")
    assert not again.changed and again.teacher.training_images
    assert TrainingImages.read(again.teacher.folder) == TrainingImages.of(run.dataset)
    text = RECIPE.replace("{path: big.keras, classes: [square, triangle]}", "{path: 'teacher:big'}")
    (folder / "recipe.yaml").write_text(text)
    plan = read_plan(folder / "recipe.yaml", teacher_store=TeacherStore.of(workspace.root))
    (teacher,) = plan.teachers
    assert teacher.training_images == again.teacher.training_images
    job = ImportTeacher.of(workspace, teacher)
    imported = job.run(ignore_progress)
    known = TrainingImages.read(workspace.store.path_of(imported.artifact))
    assert known == TrainingImages.of(run.dataset)
    assert job.key != job.model_copy(update={"trained_on": None}).key


def test_the_gate_compares_with_nothing_that_was_trained_on_its_test_images(folder: Path, run: Run):
    sides = GateModels(folder)
    teacher, version, anchor = (
        sides(name, scores_with_errors(2)) for name in ("teacher", "v2", "v1")
    )
    artifact = sides("int8", scores_with_errors(3))
    inputs = gate_inputs(
        GateSection(), artifact, teacher, incumbent(version), incumbent(anchor, "anchor")
    )
    before, first = "'int8' of version 2 (published)", "'int8' of version 1 (anchor)"
    assert check_references(run, inputs.cases) == ("teacher", before, first)
    fine = TrainingImages.of(run.dataset)
    fine.write(run.workspace.store.path_of("teacher"))
    partly = TrainingImages(complete=False, images=fine.images)
    partly.write(run.workspace.store.path_of("v2"))
    assert check_references(run, inputs.cases) == (before, first)
    seen = run.dataset.select("test").paths
    leaked = TrainingImages.of(others(folder, "theirs", seen[1:]))
    leaked.write(run.workspace.store.path_of("v1"))
    with pytest.raises(PupilaError) as refused:
        check_references(run, inputs.cases)
    assert str(refused.value) == (
        f"{first}, with which the gate compares, was trained on 5 of the 6 test images "
        f"({', '.join(path.name for path in seen[1:4])}, …): its answers to those prove nothing. "
        "Take them out of the split `test`, or compare with another model."
    )
