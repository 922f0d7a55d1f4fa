"""Evaluation of an artifact: its answers, its costs, and what it is compared with."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from colour_models import COLOUR_RUNNER, model

from pupila import evaluator
from pupila.artifact import Artifact, Origin
from pupila.dataset import Dataset
from pupila.digest import digest_file
from pupila.errors import PupilaError
from pupila.evaluation import Evaluation
from pupila.plugin_registry import installed
from pupila.predictions import Predictions
from pupila.spec import OutputSpec
from pupila.step import StepResult
from pupila.store import Store
from pupila.testing import draw_images, ignore_progress, plugin_installed, read_images


@pytest.fixture(scope="module", autouse=True)
def runner(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    folder = tmp_path_factory.mktemp("path")
    with plugin_installed(folder, "colour-test", "colour_runner_plugin", COLOUR_RUNNER):
        yield


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def predictions(tmp_path: Path) -> Predictions:
    return Predictions(tmp_path / "predictions")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    return read_images(draw_images(folder / "images", images=6), folder / "cache")


def with_column(dataset: Dataset, **columns: Any) -> Dataset:
    frame = dataset.frame.copy()
    for name, values in columns.items():
        frame[name] = values
    return replace(dataset, frame=frame)


def evaluate(
    artifact: Artifact, dataset: Dataset, predictions: Predictions, **changes: Any
) -> Evaluation:
    settings: dict[str, Any] = {"positive": "triangle", "specificity": 0.8}
    return evaluator.evaluate(
        artifact, dataset, predictions=predictions, progress=ignore_progress, **settings | changes
    )


def test_an_artifact_is_evaluated_through_its_runtime(
    store: Store, dataset: Dataset, predictions: Predictions
):
    artifact = model(store)
    evaluation = evaluate(artifact, dataset, predictions, latency_repeats=20, threads=1)
    test = dataset.select("test")
    answers = predictions.of(artifact, test, ignore_progress)
    assert evaluation.metrics.images == len(test) == 12
    assert evaluation.metrics.accuracy.value == (answers.argmax(axis=1) == test.labels).mean()
    assert evaluation.metrics.point is not None
    at = evaluation.metrics.point.threshold
    assert evaluation.metrics.confusion_at == at
    called = answers[:, 1].astype(np.float64) >= at
    assert np.trace(evaluation.metrics.confusion) == (called == (test.labels == 1)).sum()
    assert (evaluation.artifact, evaluation.format) == (artifact.digest, "colour")
    assert (evaluation.runtime, evaluation.split) == ("numpy, one core", "test")
    assert evaluation.agreement is None
    assert evaluation.cpu


def test_intervals_are_by_patient_if_patients_are_known(
    store: Store, dataset: Dataset, predictions: Predictions
):
    frame = dataset.frame.copy()
    frame["patient"] = [f"p{row // 3}" for row in range(len(dataset))]
    known = Dataset(frame, dataset.classes, dataset.cache)
    plain = evaluate(model(store), dataset, predictions, latency_repeats=1).metrics
    evaluation = evaluate(model(store), known, predictions, latency_repeats=1).metrics
    assert (plain.patients, evaluation.patients) == (
        None,
        known.select("test").frame["patient"].nunique(),
    )
    assert evaluation.accuracy.value == plain.accuracy.value
    assert evaluation.auc and evaluation.point and evaluation.ece and evaluation.brier
    for estimate in (
        evaluation.accuracy,
        evaluation.auc,
        evaluation.ece,
        evaluation.brier,
        evaluation.point.sensitivity,
    ):
        assert "by patient" in estimate.method


def test_the_cost_is_measured(store: Store, dataset: Dataset, predictions: Predictions):
    artifact = model(store)
    cost = evaluate(artifact, dataset, predictions, latency_repeats=20, threads=1).cost
    assert cost.size_bytes == artifact.size_bytes
    assert cost.gzip_bytes == artifact.gzip_bytes()
    assert (cost.parameters, cost.macs) == (6, 6)
    assert 0 < cost.latency.median_ms <= cost.latency.p95_ms
    assert (cost.latency.repeats, cost.latency.threads) == (20, 1)
    assert cost.peak_memory_bytes and cost.peak_memory_bytes > 10 * 2**20


def test_all_cores_are_used_by_default(store: Store, dataset: Dataset, predictions: Predictions):
    evaluation = evaluate(model(store), dataset, predictions)
    assert evaluation.cost.latency.threads == os.cpu_count()


@pytest.mark.parametrize(
    ("seconds", "asked", "repeats"), [(0.0, 50, 50), (0.25, 50, 20), (3.0, 50, 5), (3.0, 3, 3)]
)
def test_a_slow_model_is_timed_less_often(
    store: Store,
    dataset: Dataset,
    predictions: Predictions,
    seconds: float,
    asked: int,
    repeats: int,
):
    artifact = model(store, seconds=seconds)
    latency = evaluate(artifact, dataset, predictions, latency_repeats=asked).cost.latency
    assert latency.repeats == pytest.approx(repeats, abs=1)
    assert latency.median_ms >= seconds * 1000


def test_the_threshold_comes_from_the_validation_split(
    store: Store, dataset: Dataset, predictions: Predictions
):
    evaluation = evaluate(model(store), dataset, predictions)
    honest, optimistic = evaluation.metrics.operating_points
    assert (honest.chosen_on, optimistic.chosen_on) == ("validation", "test")
    assert optimistic.specificity.value >= 0.8


def test_without_a_validation_split_the_threshold_is_optimistic_and_says_so(
    store: Store, dataset: Dataset, predictions: Predictions
):
    rows = dataset.frame["split"] != "validation"
    rest = replace(dataset, frame=dataset.frame[rows].reset_index(drop=True))
    evaluation = evaluate(model(store), rest, predictions)
    assert [point.chosen_on for point in evaluation.metrics.operating_points] == ["test"]


def test_the_validation_split_itself_can_be_evaluated(
    store: Store, dataset: Dataset, predictions: Predictions
):
    evaluation = evaluate(model(store), dataset, predictions, split="validation")
    assert evaluation.split == "validation"
    assert [point.chosen_on for point in evaluation.metrics.operating_points] == ["validation"]


def test_agreement_with_a_teacher_is_counted_image_by_image(
    store: Store, dataset: Dataset, predictions: Predictions
):
    teacher, pupil = model(store, seed=1), model(store, seed=2)
    evaluation = evaluate(pupil, dataset, predictions, reference=("xception", teacher))
    test = dataset.select("test")
    theirs, ours = (
        predictions.of(artifact, test, ignore_progress) for artifact in (teacher, pupil)
    )
    assert evaluation.agreement is not None
    assert evaluation.agreement.reference == "xception"
    assert evaluation.agreement.largest_difference == pytest.approx(np.abs(ours - theirs).max())
    assert evaluation.agreement.labels.value == (ours.argmax(1) == theirs.argmax(1)).mean()
    itself = evaluate(pupil, dataset, predictions, reference=("itself", pupil)).agreement
    assert itself is not None
    assert (itself.labels.value, itself.largest_difference) == (1, 0)


def test_probabilities_are_kept_in_the_order_of_the_classes_of_the_data(
    store: Store, dataset: Dataset, predictions: Predictions
):
    evaluation = evaluate(model(store, classes=("triangle", "square")), dataset, predictions)
    kept = np.load(evaluation.probabilities)
    assert Path(evaluation.probabilities).parent == predictions.folder
    assert kept.shape == (12, 2)
    assert kept.sum(axis=1) == pytest.approx(1)
    labels = dataset.select("test").labels
    assert (kept.argmax(axis=1) == labels).mean() == evaluation.metrics.accuracy.value
    assert evaluation.validation_probabilities and evaluation.validation
    validation, kept = dataset.select("validation"), np.load(evaluation.validation_probabilities)
    assert (kept.argmax(axis=1) == validation.labels).mean() == evaluation.validation.value
    assert not list(predictions.folder.glob(".partial*"))


def test_metrics_are_also_given_for_each_source(
    store: Store, dataset: Dataset, predictions: Predictions
):
    sources = ["north" if label == "square" else "south" for label in dataset.frame["label"]]
    split = with_column(dataset, source=sources, site="only one", camera="a")
    evaluation = evaluate(model(store), split, predictions)
    assert list(evaluation.groups) == ["source"]
    north, south = evaluation.groups["source"]["north"], evaluation.groups["source"]["south"]
    assert north.images == south.images == 6
    assert north.auc is None
    assert north.operating_points == ()
    mean = (north.accuracy.value + south.accuracy.value) / 2
    assert mean == pytest.approx(evaluation.metrics.accuracy.value)


def test_images_without_a_source_belong_to_no_group(
    store: Store, dataset: Dataset, predictions: Predictions
):
    cycle = ["north", "south", None, ""]
    sources = [cycle[row % 4] for row in range(len(dataset))]
    evaluation = evaluate(model(store), with_column(dataset, source=sources), predictions)
    assert sorted(evaluation.groups["source"]) == ["north", "south"]
    assert sum(group.images for group in evaluation.groups["source"].values()) < 12


def test_a_group_keeps_the_threshold_of_the_whole_validation_split(
    store: Store, dataset: Dataset, predictions: Predictions
):
    sources = ["north" if path.stem in "012" else "south" for path in dataset.paths]
    evaluation = evaluate(model(store), with_column(dataset, source=sources), predictions)
    whole = evaluation.metrics.operating_points[0]
    for group in evaluation.groups["source"].values():
        assert group.operating_points[0].threshold == whole.threshold


def test_an_evaluation_survives_json(store: Store, dataset: Dataset, predictions: Predictions):
    evaluation = evaluate(model(store), dataset, predictions, reference=("itself", model(store)))
    assert Evaluation.model_validate_json(evaluation.model_dump_json()) == evaluation


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "tset"}, "no split 'tset'"),
        ({"positive": "circle"}, "positive is 'circle', which is not one of"),
        ({"specificity": 0.0}, r"Specificity 0\.0"),
        ({"latency_repeats": 0}, "0 repeats"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    store: Store,
    dataset: Dataset,
    predictions: Predictions,
    changes: dict[str, Any],
    message: str,
):
    with pytest.raises(PupilaError, match=message):
        evaluate(model(store), dataset, predictions, **changes)


def test_other_classes_are_refused(store: Store, dataset: Dataset, predictions: Predictions):
    with pytest.raises(PupilaError, match="'cat', 'dog'"):
        evaluate(model(store, classes=("cat", "dog")), dataset, predictions)


def test_the_processor_is_named():
    name = evaluator.cpu_name()
    assert name
    assert name == name.strip()
    assert "model name" not in name


@pytest.mark.slow
def test_a_real_teacher_is_evaluated_as_its_card_says(
    shared_data: Path, shared_teachers: Path, store: Store, tmp_path: Path
):
    """Of squeezenet.keras: test accuracy .953, AUC .996, best sensitivity at .85 1.000."""
    source = shared_teachers / "squeezenet.keras"
    loader = installed().loader(source)
    output = OutputSpec(kind="softmax", classes=("glaucoma", "normal"))
    with store.draft() as folder:
        product: StepResult = loader.load()(source, output, folder)
        origin = Origin(plugin=loader.name, distribution="pupila-keras", version="0")
        teacher = store.add(folder, **vars(product), origin=origin)
    dataset = photographs(shared_data / "glaucoma", tmp_path / "cache")
    evaluation = evaluate(
        teacher,
        dataset,
        Predictions(tmp_path / "predictions"),
        positive="glaucoma",
        specificity=0.85,
        latency_repeats=10,
    )
    assert evaluation.metrics.images == 107
    assert evaluation.metrics.accuracy.value == pytest.approx(0.953, abs=5e-4)
    assert evaluation.metrics.auc is not None
    assert evaluation.metrics.auc.value == pytest.approx(0.996, abs=5e-4)
    assert evaluation.metrics.auc.low < 0.99
    assert evaluation.metrics.operating_points[-1].sensitivity.value == 1
    assert evaluation.cost.parameters == 723_522


def photographs(folder: Path, cache: Path) -> Dataset:
    """Return the validation and test photographs of a class-per-folder tree."""
    rows = [
        {
            "path": str(path),
            "label": path.parent.name,
            "split": path.parent.parent.name,
            "sha256": digest_file(path),
        }
        for path in sorted(folder.glob("*/*/*.jpg"))
        if path.parent.parent.name != "train"
    ]
    return Dataset.of(pd.DataFrame(rows), ["glaucoma", "normal"], cache)
