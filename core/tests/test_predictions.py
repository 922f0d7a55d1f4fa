from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counting_models import COUNTING_RUNNER, INPUT, by_hand, model, times
from numpy.typing import NDArray

from pupila import predictions as module
from pupila.arrays import Rows
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.predictions import Predictions
from pupila.spec import OutputKind
from pupila.testing import CLASSES, draw_images, ignore_progress, plugin_installed, read_images
from pupila.views import AS_IS, Augmentation


@pytest.fixture(scope="module", autouse=True)
def runner(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    folder = tmp_path_factory.mktemp("path")
    with plugin_installed(folder, "counting-test", "counting_runner", COUNTING_RUNNER):
        yield


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    return read_images(draw_images(folder / "images", images=3), folder / "cache").select("train")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.txt"


@pytest.fixture
def predictions(tmp_path: Path) -> Predictions:
    return Predictions(tmp_path / "predictions")


def test_predictions_are_probabilities_of_every_image_in_order(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    artifact = model(tmp_path, log)
    probabilities = predictions.of(artifact, dataset, ignore_progress)
    assert probabilities.shape == (6, 2)
    assert probabilities == pytest.approx(
        by_hand(artifact, np.asarray(dataset.pixels(INPUT))), abs=1e-6
    )


def test_each_view_has_the_models_answer_to_it(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    artifact, augmentation = model(tmp_path, log), Augmentation(views=3)
    probabilities = predictions.of_views(artifact, dataset, augmentation, ignore_progress)
    assert probabilities.shape == (3, 6, 2)
    sha256 = dataset.frame["sha256"].tolist()
    for number in range(3):
        rows = zip(np.asarray(dataset.pixels(INPUT)), sha256, strict=True)
        shown = np.stack([augmentation.view(image, digest, number) for image, digest in rows])
        assert probabilities[number] == pytest.approx(by_hand(artifact, shown), abs=1e-6)


def test_raw_outputs_of_views_are_read_from_the_same_files(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    artifact, augmentation = model(tmp_path, log), Augmentation(views=3)
    outputs = predictions.outputs_of_views(artifact, dataset, augmentation, ignore_progress)
    assert [view.shape for view in outputs] == [(6, 2)] * 3
    probabilities = predictions.of_views(artifact, dataset, augmentation, ignore_progress)
    assert times(log, "opened") == 1
    raised = np.exp(np.stack([view[:] for view in outputs]))
    np.testing.assert_allclose(raised / raised.sum(-1, keepdims=True), probabilities, rtol=1e-5)
    other = Dataset(dataset.frame, ("disc",), dataset.cache, "localization")
    with pytest.raises(PupilaError, match="has learned classification, but the data is labelled"):
        predictions.outputs_of_views(artifact, other, augmentation, ignore_progress)


def test_a_mixed_view_has_the_models_answer_to_the_mixture(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    artifact, augmentation = model(tmp_path, log), Augmentation(views=2, crop=0.5, mixup=1)
    probabilities = predictions.of_views(artifact, dataset, augmentation, ignore_progress)
    sha256, pixels = dataset.frame["sha256"].tolist(), dataset.pixels(INPUT)
    mixed = augmentation.render(pixels, sha256, np.arange(6), 1)
    assert probabilities[1] == pytest.approx(by_hand(artifact, mixed), abs=1e-6)
    plain = Augmentation(views=2, crop=0.5).render(pixels, sha256, np.arange(6), 1)
    assert np.abs(probabilities[1] - by_hand(artifact, plain)).max() > 1e-3


def test_predictions_are_computed_once(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    artifact = model(tmp_path, log)
    first = predictions.of_views(artifact, dataset, Augmentation(views=2), ignore_progress)
    assert (times(log, "opened"), times(log, "image"), times(log, "closed")) == (1, 12, 1)
    again = Predictions(predictions.folder)
    second = again.of_views(artifact, dataset, Augmentation(views=2), ignore_progress)
    assert (first == second).all()
    assert (times(log, "opened"), times(log, "image")) == (1, 12)


def test_only_views_that_are_missing_are_computed(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    artifact = model(tmp_path, log)
    predictions.of(artifact, dataset, ignore_progress)
    predictions.of_views(artifact, dataset, Augmentation(views=3), ignore_progress)
    assert times(log, "image") == 6 * 3  # the image itself is view 0 of any augmentation
    predictions.of_views(artifact, dataset, Augmentation(views=4), ignore_progress)
    assert times(log, "image") == 6 * 4
    predictions.of_views(artifact, dataset, Augmentation(views=2, seed=1), ignore_progress)
    assert times(log, "image") == 6 * 5


def test_another_model_and_other_images_have_predictions_of_their_own(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    first = predictions.of(model(tmp_path, log), dataset, ignore_progress)
    other = predictions.of(model(tmp_path, log, seed=1), dataset, ignore_progress)
    assert not np.allclose(first, other)
    part = Dataset(dataset.frame.head(4), dataset.classes, dataset.cache)
    assert len(predictions.of(model(tmp_path, log), part, ignore_progress)) == 4
    assert times(log, "opened") == 3


def test_columns_are_in_the_order_of_the_classes_of_the_data(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    straight = predictions.of(model(tmp_path, log), dataset, ignore_progress)
    turned = model(tmp_path, log, classes=CLASSES[::-1])
    assert (predictions.of(turned, dataset, ignore_progress) == straight[:, ::-1]).all()


def test_other_classes_are_refused_before_the_model_is_opened(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    stranger = model(tmp_path, log, classes=("cat", "dog"))
    with pytest.raises(PupilaError, match=r"\['cat', 'dog'\], but .*\['square', 'triangle'\]"):
        predictions.of(stranger, dataset, ignore_progress)
    assert times(log, "opened") == 0


def test_a_model_with_other_classes_answers_in_their_order(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    artifact = model(tmp_path, log, classes=("dog", "cat"))
    expected = by_hand(artifact, np.asarray(dataset.pixels(INPUT)))
    for _ in range(2):
        (probabilities,) = predictions.in_own_order(artifact, dataset, AS_IS, ignore_progress)
        assert probabilities == pytest.approx(expected, abs=1e-6)
    assert times(log, "opened") == 1


@pytest.mark.parametrize(
    ("classes", "kind", "message"),
    [
        (("a", "b", "c"), "logits", r"shape \(6, 2\) to 6 images: expected one column for each"),
        (CLASSES, "sigmoid", r"shape \(6, 2\) to 6 images: expected one column in 0..1"),
        (CLASSES, "softmax", r"rows that do not sum to 1 to 6 of 6 images, such as .*: expected"),
    ],
)
def test_answers_that_break_the_spec_are_refused_with_the_runners_name_and_not_kept(
    tmp_path: Path,
    log: Path,
    dataset: Dataset,
    predictions: Predictions,
    classes: tuple[str, ...],
    kind: OutputKind,
    message: str,
) -> None:
    artifact = model(tmp_path, log, classes=classes, kind=kind)
    for _ in range(2):
        with pytest.raises(PupilaError, match=f"'counting' of counting-test answers .*{message}"):
            predictions.in_own_order(artifact, dataset, AS_IS, ignore_progress)
    assert times(log, "opened") == times(log, "closed") == 2


def test_progress_counts_all_images_of_all_views(
    tmp_path: Path,
    log: Path,
    dataset: Dataset,
    predictions: Predictions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_CHUNK_IMAGES", 4)
    reports: list[tuple[int, int]] = []
    predictions.of_views(
        model(tmp_path, log),
        dataset,
        Augmentation(views=2),
        lambda done, total, what: reports.append((done, total)),
    )
    assert reports == [(done, 12) for done in range(1, 13)]


def test_a_computation_that_is_interrupted_is_started_again(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    def interrupt(done: int, total: int, what: str) -> None:
        if done == 9:  # of 12: in the second view
            raise KeyboardInterrupt

    artifact, augmentation = model(tmp_path, log), Augmentation(views=2)
    with pytest.raises(KeyboardInterrupt):
        predictions.of_views(artifact, dataset, augmentation, interrupt)
    assert times(log, "closed") == 1
    probabilities = predictions.of_views(artifact, dataset, augmentation, ignore_progress)
    assert np.isfinite(probabilities).all()
    assert times(log, "image") == 9 + 6  # the first view was kept


def test_two_simultaneous_requests_compute_once(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    artifact = model(tmp_path, log)

    def ask(_: int) -> NDArray[np.float32]:
        return Predictions(predictions.folder).of(artifact, dataset, ignore_progress)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert all((answer == answers[0]).all() for answer in answers)
    assert times(log, "opened") == 1


# Something else than predictions ---------------------------------------------------------------


class Corners:
    """Computes red, green and blue of a corner of each picture, and counts its calls."""

    def __init__(self) -> None:
        self.opened = self.closed = 0
        self.pictures: list[int] = []

    @contextmanager
    def __call__(self) -> Generator[Callable[[NDArray[np.uint8]], NDArray[np.float32]]]:
        self.opened += 1
        try:
            yield self.compute
        finally:
            self.closed += 1

    def compute(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.pictures.append(len(pictures))
        return pictures[:, 0, 0].astype(np.float32)


def test_another_quantity_of_each_view_is_computed_once_and_stays_on_disk(
    tmp_path: Path,
    log: Path,
    dataset: Dataset,
    predictions: Predictions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_CHUNK_IMAGES", 4)
    artifact, augmentation, corners = model(tmp_path, log), Augmentation(views=2), Corners()
    for _ in range(2):
        views = predictions.compute(
            artifact, dataset, augmentation, ignore_progress, "corner", "pupila-core", corners
        )
        assert [type(view) for view in views] == [Rows, Rows]
        sha256, pixels = dataset.frame["sha256"].tolist(), dataset.pixels(INPUT)
        for number in range(2):
            shown = augmentation.render(pixels, sha256, np.arange(6), number)
            np.testing.assert_array_equal(views[number][:], shown[:, 0, 0])
    assert (corners.opened, corners.closed, corners.pictures) == (1, 1, [4, 2, 4, 2])
    assert times(log, "opened") == 0


def test_the_key_includes_the_quantity_and_only_missing_views_are_computed(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    artifact, corners = model(tmp_path, log), Corners()
    for views, what in ((1, "corner"), (2, "corner"), (2, "other corner"), (2, "corner")):
        augmentation = Augmentation(views=views)
        predictions.compute(
            artifact, dataset, augmentation, ignore_progress, what, "pupila-core", corners
        )
    assert corners.pictures == [6] * 4
    assert corners.opened == 3
    assert predictions.of(artifact, dataset, ignore_progress).shape == (6, 2)  # not the corners


def test_progress_of_another_quantity_counts_its_pictures(
    tmp_path: Path,
    log: Path,
    dataset: Dataset,
    predictions: Predictions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_CHUNK_IMAGES", 4)
    reports: list[tuple[int, int]] = []
    predictions.compute(
        model(tmp_path, log),
        dataset,
        Augmentation(views=2),
        lambda done, total, what: reports.append((done, total)),
        "corner",
        "pupila-core",
        Corners(),
    )
    assert reports == [(4, 12), (6, 12), (10, 12), (12, 12)]


def test_a_result_with_too_few_rows_is_not_kept(
    tmp_path: Path, log: Path, dataset: Dataset, predictions: Predictions
) -> None:
    artifact, corners = model(tmp_path, log), Corners()

    @contextmanager
    def forgetful() -> Generator[Callable[[NDArray[np.uint8]], NDArray[np.float32]]]:
        yield lambda pictures: corners.compute(pictures)[1:]

    def ask(opened: Any) -> Any:
        return predictions.compute(
            artifact,
            dataset,
            Augmentation(views=1),
            ignore_progress,
            "corner",
            "pupila-core",
            opened,
        )

    with pytest.raises(ValueError, match="5 rows were computed, where 6 were expected"):
        ask(forgetful)
    assert ask(corners)[0].shape == (6, 3)
