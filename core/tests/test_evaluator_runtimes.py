"""An artifact's answers in one runtime, compared with another runtime or with its source."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from colour_models import CLASSES, COLOUR_RUNNER, model

from pupila import evaluator
from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.evaluation import RuntimeCheck
from pupila.predictions import Predictions
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


def check_runtime(
    artifact: Artifact, runtime: str, dataset: Dataset, predictions: Predictions, **changes: Any
) -> RuntimeCheck:
    test = dataset.select("test")
    return evaluator.check_runtime(
        artifact, runtime, test, predictions=predictions, progress=ignore_progress, **changes
    )


def test_in_another_runtime_it_is_compared_with_its_own_runtime(
    store: Store, dataset: Dataset, predictions: Predictions
):
    check = check_runtime(
        model(store), "bright", dataset, predictions, threads=3, latency_repeats=5
    )
    assert check.agreement and check.agreement.reference == "colour"
    assert 0 < check.agreement.largest_difference < 0.05
    assert (check.runtime, check.images) == ("numpy, a step brighter", len(dataset.select("test")))
    assert (check.latency.repeats, check.latency.threads, check.startup) == (5, 3, None)


def test_in_its_own_runtime_it_is_compared_with_its_source(
    store: Store, dataset: Dataset, predictions: Predictions
):
    artifact, source = model(store), model(store, classes=CLASSES[::-1])
    alone = check_runtime(artifact, "colour", dataset, predictions)
    beside = check_runtime(artifact, "colour", dataset, predictions, source=source)
    assert alone.agreement is None
    assert beside.agreement and beside.agreement.reference == "its source (colour)"
    assert beside.agreement.largest_difference > 0.1  # the same weights, of the other classes


def test_a_runtime_that_answers_nan_is_named(
    store: Store, dataset: Dataset, predictions: Predictions
):
    message = r"'broken' of colour-test answers with .* NaN .* to 1 of 12 images, such as .nan"
    with pytest.raises(PupilaError, match=message):
        check_runtime(model(store), "broken", dataset, predictions)


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        ("ragged", r"answers with \[\[0.5, 0.5\], \[1.0\]\], which is not an array of numbers"),
        ("wordy", r"answers with \[\['yes', 'no'\]\], which is not an array of numbers"),
        ("silent", r"answers with an array of shape \(\) to 12 images"),
        ("timeless", r"returned wrong values: 'latency_ms' is \[\]: List should have at least 1"),
        ("endless", r"returned wrong values: 'latency_ms.0' is inf: Input should be a finite"),
        ("spelt", r"returned wrong values: 'latency_ms.0' is 'fast': Input should be a valid nu"),
        ("countless", r"returned wrong values: 'peak_memory_bytes' is 'much': Input should be"),
    ],
)
def test_a_runtime_that_gives_something_else_is_named(
    store: Store, dataset: Dataset, predictions: Predictions, runtime: str, message: str
):
    with pytest.raises(PupilaError, match=f"^Runner '{runtime}' of colour-test {message}"):
        check_runtime(model(store), runtime, dataset, predictions)


def test_a_runtime_that_answers_with_another_column_is_named(
    store: Store, dataset: Dataset, predictions: Predictions
):
    message = r"'wider' of colour-test answers with an array of shape \(12, 3\) to 12 images"
    with pytest.raises(PupilaError, match=message):
        check_runtime(model(store), "wider", dataset, predictions)
