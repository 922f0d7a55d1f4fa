from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.fidelity import correlation, logits_of
from pupila.images import resize
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.shift import FAMILIES, SEVERITIES, alter
from pupila.shift.evaluation import ShiftEvaluation
from pupila.shift_suite import Cell, Suite, evaluate_shift, pictures
from pupila.spec import InputSpec
from pupila.store import Store
from pupila.testing import (
    CLASSES,
    colour_teacher,
    draw_colours,
    draw_images,
    ignore_progress,
    keras_artifact,
    read_images,
)

SUITE = Suite(images=9, families=("blur", "hue", "exposure", "framing"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    return read_images(draw_images(folder / "images", images=9), folder / "cache")


@pytest.fixture(scope="module")
def teacher(store: Store) -> Artifact:
    return keras_artifact(store)


def evaluate(
    folder: Path, artifact: Artifact, teacher: Artifact, dataset: Dataset, suite: Suite = SUITE
) -> ShiftEvaluation:
    return evaluate_shift(
        artifact,
        dataset,
        ("big", teacher),
        suite=suite,
        positive=dataset.classes[0],
        predictions=Predictions(folder / "predictions"),
        progress=ignore_progress,
        validated=True,
    )


def test_a_teacher_is_faithful_to_itself(tmp_path: Path, teacher: Artifact, dataset: Dataset):
    evaluation = evaluate(tmp_path, teacher, teacher, dataset)
    value = evaluation.value
    assert (value.value, value.low, value.high) == pytest.approx((1, 1, 1))
    assert {family.name for family in evaluation.families} == set(SUITE.families)
    for family in evaluation.families:
        assert [step.severity for step in family.steps] == list(SEVERITIES)
        assert [step.images for step in family.steps] == [3, 9, 3]
        for step in family.steps:
            assert (step.fidelity, step.agreement, step.mean_difference) == pytest.approx((1, 1, 0))
            assert step.accuracy == step.reference_accuracy


def test_the_value_is_the_mean_over_families_of_the_correlation_of_logits(
    tmp_path: Path, store: Store, teacher: Artifact, dataset: Dataset
):
    """Computed by hand: the same altered images, predicted by each model."""
    pupil = keras_artifact(store, seed=3)
    evaluation = evaluate(tmp_path, pupil, teacher, dataset)
    test = dataset.select("test")
    pixels = test.pixels(teacher.record.input)
    by_hand: list[float] = []
    for cell in SUITE.cells(test.labels):
        if cell.severity != "middle":
            continue
        images = np.stack([pixels[row] for row in cell.rows.tolist()])
        family = installed().shift(cell.family)
        altered = alter(family, images, "middle", np.random.default_rng(cell.seed))
        ours, theirs = (logits_of(_answers(model, altered)) for model in (pupil, teacher))
        by_hand.append(float(np.corrcoef(ours[:, 0], theirs[:, 0])[0, 1]))
    assert evaluation.value.value == pytest.approx(np.mean(by_hand), abs=1e-5)
    assert evaluation.worst.middle.fidelity == pytest.approx(min(by_hand), abs=1e-5)
    assert evaluation.value.low < evaluation.value.value < evaluation.value.high
    validation = evaluate_shift(
        *(pupil, dataset, ("big", teacher)),
        suite=SUITE,
        positive=CLASSES[0],
        predictions=Predictions(tmp_path / "predictions"),
        progress=ignore_progress,
        split="validation",
    )
    assert evaluation.validation == validation.value
    assert validation.validation is None


def _answers(model: Artifact, images: Any) -> Any:
    from pupila import keras_files

    return np.asarray(keras_files.load(model)(images.astype(np.float32), training=False))


def test_images_are_drawn_evenly_from_the_classes_and_for_each_family_by_itself():
    labels = np.array([0] * 40 + [1] * 8)
    cells = Suite(images=12).cells(labels)
    of_family = {(cell.family, cell.severity): cell for cell in cells}
    for name in FAMILIES:
        middle = of_family[name, "middle"]
        assert len(set(middle.rows.tolist())) == 12
        assert np.bincount(labels[middle.rows]).tolist() == [6, 6]
        assert (of_family[name, "strong"].rows == middle.rows[:4]).all()
    assert len({tuple(of_family[name, "middle"].rows.tolist()) for name in FAMILIES}) > 12
    (alone,) = (
        cell
        for cell in Suite(images=12, families=("hue",)).cells(labels)
        if cell.severity == "mild"
    )
    assert (alone.rows == of_family["hue", "mild"].rows).all()
    assert alone.seed == of_family["hue", "mild"].seed


def test_altered_images_come_in_batches(dataset: Dataset, teacher: Artifact):
    rows = np.arange(150) % len(dataset)
    size, target = teacher.record.input, InputSpec(height=24, width=20)
    cells = [
        Cell(name, "middle", rows[:count], (1,)) for name, count in (("hue", 150), ("blur", 7))
    ]
    batches = list(pictures(dataset, cells, size, target))
    assert [len(batch) for batch in batches] == [64, 64, 29]
    images = np.stack([dataset.pixels(size)[int(row)] for row in rows[:7]])
    family = installed().shift("blur")
    blurred = alter(family, images, "middle", np.random.default_rng(1))
    expected = np.stack([resize(Image.fromarray(image), target) for image in blurred])
    assert (batches[-1][-7:] == expected).all()


def test_fewer_images_than_asked_are_all_taken():
    labels = np.array([0, 1, 0])
    assert all(len(cell.rows) <= 3 for cell in Suite(images=24).cells(labels))


def test_answers_are_cached(tmp_path: Path, teacher: Artifact, dataset: Dataset):
    reports: list[tuple[int, int]] = []

    def evaluate_suite(suite: Suite) -> ShiftEvaluation:
        reports.clear()
        return evaluate_shift(
            teacher,
            dataset,
            ("big", teacher),
            suite=suite,
            positive=CLASSES[0],
            predictions=Predictions(tmp_path / "predictions"),
            progress=lambda done, total, what: reports.append((done, total)),
        )

    first = evaluate_suite(SUITE)
    assert reports
    assert evaluate_suite(SUITE) == first
    assert not reports
    evaluate_suite(replace(SUITE, seed=1))
    assert reports


def test_patients_are_drawn_whole(
    tmp_path: Path, store: Store, teacher: Artifact, dataset: Dataset
):
    frame = dataset.frame.copy()
    frame["patient"] = [str(row % 3) for row in range(len(dataset))]
    evaluation = evaluate(
        tmp_path, keras_artifact(store, seed=3), teacher, replace(dataset, frame=frame)
    )
    assert evaluation.value.method.endswith("by patient")


def test_several_classes_have_the_mean_of_their_logits(tmp_path: Path, store: Store):
    names = ("pentagon", "square", "triangle")
    folder = draw_images(tmp_path / "images", classes=names, images=4)
    images = read_images(folder, tmp_path / "cache")
    ours, theirs = (keras_artifact(store, names, seed=seed) for seed in (1, 2))
    evaluation = evaluate(tmp_path, ours, theirs, images)
    test = images.select("test")
    predictions = Predictions(tmp_path / "predictions")
    answers = [logits_of(predictions.of(model, test, ignore_progress)) for model in (ours, theirs)]
    by_hand = correlation(answers[0], answers[1], np.ones((1, len(test))))
    assert evaluation.unaltered.fidelity == pytest.approx(float(by_hand[0]))
    assert evaluation.unaltered.auc is not None


def test_a_teacher_that_answers_the_same_to_all_images_is_refused(tmp_path: Path, store: Store):
    folder = draw_colours(tmp_path / "images", images=4)
    images = read_images(folder, tmp_path / "cache")
    pupil, silent = colour_teacher(store), colour_teacher(store, slope=0)
    with pytest.raises(PupilaError, match="'big' answers the same to all altered images"):
        evaluate(tmp_path, pupil, silent, images)
    assert evaluate(tmp_path, silent, pupil, images).value.value == 0
