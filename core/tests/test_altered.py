"""Altered validation images, by which an epoch is chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.predictions import Predictions
from pupila.shift_suite import Suite, evaluate_shift
from pupila.spec import OutputSpec
from pupila.step import Step
from pupila.store import Store
from pupila.testing import (
    INPUT,
    colour_dataset,
    colour_teacher,
    ignore_progress,
    keras_artifact,
    step_for,
)
from pupila.training.altered import Altered
from pupila.training.schedule import EpochChoice

BY_FIDELITY = EpochChoice(choose_by="fidelity")
CLASSES = ("blue", "red")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("colours")
    return colour_dataset(folder, images=6)


def step_of(folder: Path, dataset: Dataset, *teachers: Artifact) -> Step[EpochChoice]:
    return step_for(BY_FIDELITY, teachers, folder, dataset=dataset)


def logits(model: Artifact, altered: Altered) -> NDArray[np.float32]:
    """Return what a model answers to the pictures, columns as the dataset's classes."""
    from pupila import keras_files

    pictures = altered.pictures.astype(np.float32)
    return np.log(np.asarray(keras_files.load(model)(pictures, training=False)))


@pytest.mark.parametrize("order", [CLASSES, CLASSES[::-1]])
def test_fidelity_is_the_value_of_the_suite_whatever_the_order_of_columns(
    tmp_path: Path, store: Store, dataset: Dataset, order: tuple[str, str]
):
    teacher, pupil = colour_teacher(store), keras_artifact(store, CLASSES, seed=3)
    altered = Altered.of(
        step_of(tmp_path, dataset, teacher), INPUT, OutputSpec(kind="logits", classes=order)
    )
    columns = [CLASSES.index(name) for name in order]
    by_suite = [
        evaluate_shift(
            *(model, dataset, ("teacher", teacher)),
            suite=Suite(severities=("middle",)),
            positive="red",
            predictions=Predictions(tmp_path / "predictions"),
            progress=ignore_progress,
            split="validation",
        ).value.value
        for model in (teacher, pupil)
    ]
    fidelities = [
        altered.fidelity(logits(model, altered)[:, columns]) for model in (teacher, pupil)
    ]
    assert fidelities == pytest.approx(by_suite, abs=1e-4)
    assert fidelities[0] == pytest.approx(1, abs=1e-4) and fidelities[1] < 0.9


def test_the_teacher_answers_altered_images_once(
    tmp_path: Path, store: Store, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
):
    from pupila import predictions

    opened: list[str] = []
    real = predictions.open_model

    def counting(artifact: Artifact, threads: int | None = None):
        opened.append(artifact.digest)
        return real(artifact, threads)

    monkeypatch.setattr(predictions, "open_model", counting)
    step = step_of(tmp_path, dataset, colour_teacher(store))
    first, second = (Altered.of(step, INPUT) for _ in range(2))
    assert len(opened) == 2  # for the images as they are, and for those that are altered
    np.testing.assert_array_equal(first.pictures, second.pictures)


def test_a_teacher_that_answers_alike_to_all_is_refused(
    tmp_path: Path, store: Store, dataset: Dataset
):
    silent = colour_teacher(store, slope=0)
    with pytest.raises(PupilaError, match="gives all altered validation images the same answer"):
        Altered.of(replace(step_of(tmp_path, dataset, silent), unproven=True), INPUT)


def test_without_validation_images_there_is_nothing_to_choose_by(
    tmp_path: Path, store: Store, dataset: Dataset
):
    step = step_of(tmp_path, dataset.without("validation"), colour_teacher(store))
    with pytest.raises(PupilaError, match="validation"):
        Altered.of(step, INPUT)


def test_fidelity_is_to_one_teacher():
    BY_FIDELITY.check_inputs(1)
    EpochChoice().check_inputs(2)
    with pytest.raises(
        PupilaError, match="which means fidelity to one teacher, but `from` has 2: give one"
    ):
        BY_FIDELITY.check_inputs(2)
