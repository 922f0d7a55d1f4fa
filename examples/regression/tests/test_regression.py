from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from image_regression.figures import r_squared, spearman
from image_regression.training import RegressionTraining
from PIL import Image

from pupila import (
    Artifact,
    Dataset,
    InputSpec,
    MetricSettings,
    OutputSpec,
    Predictions,
    PupilaError,
    installed,
    keras_files,
    manifest,
)
from pupila.artifact import Origin
from pupila.store import Store
from pupila.task import methods_of
from pupila.testing import StepRun, TaskContract, ignore_progress, run_step
from pupila.training.task import training_of
from pupila.views import Augmentation

TASK = methods_of("regression")
CLASSES = ("brightness",)
INPUT = InputSpec(height=32, width=32)
OUTPUT = OutputSpec(task="regression", kind="number", classes=CLASSES)


def grey_images(folder: Path, *, unit: float = 1.0, unlabelled: int = 0) -> Dataset:
    """Draw grey images whose label is their brightness, 24 in each split, in a unit of it."""
    random, lines = np.random.default_rng(0), ["path,value,split"]
    folder.mkdir(parents=True, exist_ok=True)
    splits = {"train": 24, "validation": 24, "test": 24, "unlabelled": unlabelled}
    for split, count in splits.items():
        for number in range(count):
            grey = int(random.integers(40, 216))
            pixels = np.clip(random.normal(grey, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{split}-{number}.png")
            label = "" if split == "unlabelled" else f"{grey * unit:g}"
            lines.append(f"{split}-{number}.png,{label},{split}")
    (folder / "greys.csv").write_text("\n".join([*lines, ""]))
    return read(folder / "greys.csv")


def read(listing: Path) -> Dataset:
    cache = listing.parent / "cache"
    frame = manifest.scan(manifest.read(listing, "regression"), cache, ignore_progress)
    return Dataset.of(frame, CLASSES, cache, "regression")


def labelled(*numbers: float) -> Dataset:
    """Return a dataset of images that do not exist, with these labels."""
    frame = pd.DataFrame(
        {
            "path": [f"{row}.png" for row in range(len(numbers))],
            "label": [f"{number:g}" for number in numbers],
            "split": "train",
            "sha256": [f"{row:064x}" for row in range(len(numbers))],
        }
    )
    return Dataset.of(frame, CLASSES, Path("nowhere"), "regression")


class TestRegression(TaskContract):
    plugin = "regression"

    @classmethod
    def make_dataset(cls, folder: Path) -> Dataset:
        return grey_images(folder)

    @classmethod
    def make_outputs(cls, images: Dataset) -> tuple[OutputSpec, np.ndarray]:
        return OUTPUT, TASK.truths(images)[:, :1].astype(np.float32)


# Labels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no 'value'"),
        ("NaN", "has the value 'NaN': give one finite number, such as 12.5"),
        ("inf", "has the value 'inf'"),
        ("1e39", "has the value '1e39'"),
        ("twelve", "has the value 'twelve'"),
        ('"12,5"', "has the value '12,5'"),
    ],
)
def test_a_label_that_is_no_number_is_refused_with_its_line(tmp_path: Path, text: str, said: str):
    listing = tmp_path / "bad.csv"
    listing.write_text(f"path,value,split\none.png,12.5,train\ntwo.png,{text},train\n")
    with pytest.raises(PupilaError, match=r"bad\.csv, line 3 ") as caught:
        manifest.read(listing, "regression")
    assert said in str(caught.value)


def test_labels_are_the_numbers_of_the_images(tmp_path: Path):
    images = grey_images(tmp_path, unlabelled=2)
    truths, splits = TASK.truths(images), images.frame["split"].to_numpy()
    pixels = np.stack([images.image(row, INPUT) for row in range(len(images))])
    known = splits != "unlabelled"
    assert np.abs(pixels.mean(axis=(1, 2, 3)) - truths[:, 0])[known].max() < 5
    assert np.isnan(truths[~known, 0]).all() and known.sum() == 72
    assert TASK.describe_truth(truths[~known][0], CLASSES) == "brightness unknown"
    assert TASK.describe(np.array([12.53]), CLASSES) == "brightness 12.53"


@pytest.mark.parametrize(
    ("numbers", "same", "far"),
    [
        ([5, 5, 5], ["5", "5", "5"], ["", "", ""]),
        ([1, 2, 3, 4], [""] * 4, [""] * 4),
        ([1, 2, 3, 4, 12], [""] * 5, ["", "", "", "", "12"]),
        ([1, 1, 1, 1, 2], [""] * 5, [""] * 5),
    ],
)
def test_rules_find_what_does_not_vary_and_what_is_far_out(
    numbers: list[float], same: list[str], far: list[str]
):
    images = labelled(*numbers)
    variety, usual = TASK.label_rules(images)
    order = np.argsort(images.frame["path"].to_numpy())
    assert (variety.severity, usual.severity) == ("error", "warning")
    assert np.array(variety.faults)[order].tolist() == same
    assert np.array(usual.faults)[order].tolist() == far


@pytest.mark.parametrize("numbers", [(5, 5, 5), (1e6, 1e6 + 1, 1e6 + 2)])
def test_labels_that_hardly_differ_cannot_be_learned(numbers: tuple[float, ...]):
    with pytest.raises(PupilaError, match="they must differ"):
        training_of(labelled(*numbers))


# Answers ---------------------------------------------------------------------------------------


def test_right_is_within_half_a_standard_deviation_also_in_a_subset():
    truths = TASK.truths(labelled(0, 2, 0, 2))  # a standard deviation of 1
    answers = truths[:, :1] + np.array([[0.49], [-0.49], [0.51], [-0.51]])
    assert TASK.right(answers, truths, CLASSES).tolist() == [True, True, False, False]
    assert TASK.right(answers[1:3], truths[1:3], CLASSES).tolist() == [True, False]
    others = np.array([[0.0], [2], [0], [2]])
    assert TASK.same(others + 0.49, others).all() and not TASK.same(others + 0.51, others).any()


def test_errors_are_in_standard_deviations_up_to_two():
    truths = TASK.truths(labelled(10, 30, 10, 30))  # a standard deviation of 10
    errors = TASK.errors(truths[:, :1] + np.array([[5.0], [-1], [0], [90]]), truths)
    assert errors is not None
    assert errors.values == pytest.approx([0.5, 0.1, 0, 2]) and errors.limits.tolist() == [2] * 4
    constant = TASK.truths(labelled(3, 3))
    same = TASK.errors(constant[:, :1], constant)
    assert same is not None and not same.known.any()


def test_figures_are_those_of_their_definitions():
    truths = np.array([[1.0, 1], [2, 1], [3, 1], [6, 1]])
    answers = np.array([[2.0], [2], [1], [7]])
    metrics = TASK.metrics(answers, truths, MetricSettings(classes=CLASSES))
    values = {figure.name: figure.estimate.value for figure in metrics.figures}
    assert values == pytest.approx(
        {"mae": 1, "rmse": np.sqrt(6 / 4), "r2": 1 - 6 / 14, "spearman": 1 / np.sqrt(10)}
    )
    assert metrics.accuracy.value == 0.75


def test_figures_of_resamples_are_those_of_repeated_images():
    random = np.random.default_rng(1)
    ours, theirs = random.integers(0, 6, (2, 12)).astype(np.float64)
    counts = random.multinomial(12, [1 / 12] * 12, 50).astype(np.float64)
    rows = [np.repeat(np.arange(12), draw.astype(int)) for draw in counts]
    ranked = [(pd.Series(ours[drawn]).rank(), pd.Series(theirs[drawn]).rank()) for drawn in rows]
    by_pandas = [first.corr(second) for first, second in ranked]
    np.testing.assert_allclose(spearman(ours, theirs, counts), by_pandas, atol=1e-12)
    explained = [
        1 - ((ours - theirs)[drawn] ** 2).sum() / (len(drawn) * theirs[drawn].var())
        for drawn in rows
    ]
    np.testing.assert_allclose(r_squared(ours - theirs, theirs, counts), explained, atol=1e-12)


def test_a_resample_without_variety_explains_nothing():
    values, counts = np.array([1.0, 2, 3]), np.array([[0.0, 3, 0], [1, 1, 1]])
    assert spearman(values, values, counts) == pytest.approx([0, 1])
    assert r_squared(np.zeros(3), values, counts) == pytest.approx([0, 1])
    assert spearman(np.full(3, 0.1), values, counts) == pytest.approx([0, 0])


def test_intervals_are_by_patient_where_patients_are_known():
    random = np.random.default_rng(0)
    of_patient = random.normal(0, 1, 20).repeat(5)
    truths = np.stack([random.normal(0, 3, 100), np.full(100, 1.5)], axis=1)
    answers = truths[:, :1] + of_patient[:, np.newaxis]
    patients = np.arange(20).repeat(5).astype(str)
    alone = TASK.metrics(answers, truths, MetricSettings(classes=CLASSES))
    clustered = TASK.metrics(answers, truths, MetricSettings(classes=CLASSES, patients=patients))
    assert (alone.patients, clustered.patients) == (None, 20)
    widths = [
        metrics.figures[0].estimate.high - metrics.figures[0].estimate.low
        for metrics in (alone, clustered)
    ]
    assert widths[1] > 1.5 * widths[0]
    assert "by patient" in clustered.figures[0].estimate.method


def test_images_without_labels_cannot_be_evaluated():
    truths = np.array([[1.0, 1], [np.nan, 1]])
    with pytest.raises(PupilaError, match="1 of 2 of the test images have no label"):
        TASK.metrics(np.zeros((2, 1)), truths, MetricSettings(classes=CLASSES))


# Training --------------------------------------------------------------------------------------


def test_mixtures_mix_their_labels_and_have_none_with_an_unlabelled_image(tmp_path: Path):
    images = grey_images(tmp_path, unlabelled=12).select("train", "unlabelled")
    training, augmentation = training_of(images), Augmentation(views=2, mixup=1, original=False)
    labels = training.labels(images)
    known = labels[:, 1] == 1
    assert known.sum() == 24
    assert labels[known, 0].mean() == pytest.approx(0, abs=1e-6)
    assert labels[known, 0].std() == pytest.approx(1, abs=1e-6)
    seen = set()
    for view, mixed in enumerate(training.labels_of_views(images, augmentation)):
        partners, parts = augmentation.mixture(images.frame["sha256"].tolist(), view)
        for row, (partner, part) in enumerate(zip(partners, parts, strict=True)):
            both = bool(known[row] and known[partner])
            assert mixed[row, 1] == both
            if both:
                expected = part * labels[row, 0] + (1 - part) * labels[partner, 0]
                assert mixed[row, 0] == pytest.approx(expected, abs=1e-5)
            seen.add(both)
    assert seen == {True, False}


def test_losses_are_in_standard_deviations_and_weigh_labels_and_teachers():
    training = RegressionTraining(CLASSES, mean=100, deviation=10)
    outputs = np.array([[120.0], [120], [104]], np.float32)  # 2, 2 and 0.4 standardised
    targets = np.array([[0, 1, 1], [0, 0, 1], [0, 1, 0.4]], np.float32)
    assert np.asarray(training.label_loss()(targets, outputs)) == pytest.approx([4, 0, 0.16])
    loss = training.distillation_loss([OUTPUT], alpha=0.25, temperature=3)
    assert np.asarray(loss(targets, outputs)) == pytest.approx([1 + 0.75, 1, 0.04], abs=1e-5)
    assert np.asarray(training.right()(targets, outputs)).tolist() == [0, 0, 1]


QUICK = {
    "student": "conv-32-64-8",
    "size": 32,
    "epochs": 15,
    "batch_size": 8,
    "augmentation": {"views": 2, "brightness": 0, "contrast": 0, "channel_gain": 0},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return grey_images(tmp_path_factory.mktemp("greys"))


def run(technique: str, images: Dataset, folder: Path, store: Store, *inputs: Artifact) -> StepRun:
    plugin = installed().step(technique)
    config = plugin.config.model_validate(QUICK)
    return run_step(plugin, config, inputs, folder / technique, store=store, dataset=images)


def r2_of(artifact: Artifact, images: Dataset, folder: Path) -> float:
    answers = Predictions(folder / "p").of(artifact, images.select("test"), ignore_progress)
    truths = TASK.truths(images.select("test"))
    errors = answers[:, 0] - truths[:, 0]
    return float(r_squared(errors, truths[:, 0], np.ones((1, len(errors))))[0])


def test_a_model_and_its_pupil_learn_numbers_of_any_scale(tmp_path: Path):
    images, store = grey_images(tmp_path / "images", unit=1e-4), Store(tmp_path / "store")
    teacher = run("train", images, tmp_path, store).artifact
    assert teacher.record.output == OUTPUT
    assert r2_of(teacher, images, tmp_path) > 0.8
    pupil = run("distill", images, tmp_path, store, teacher).artifact
    assert r2_of(pupil, images, tmp_path) > 0.8
    (quality,) = pupil.record.measured["teachers"]
    assert quality["validation_accuracy"]["value"] > 0.6


def test_teachers_of_other_units_are_refused(images: Dataset, tmp_path: Path):
    keras, store = keras_files.import_keras(), Store(tmp_path / "store")
    image = keras.Input(INPUT.shape)
    mean = keras.layers.GlobalAveragePooling2D()(image)
    number = keras.layers.Dense(1, kernel_initializer="ones")(mean)  # three times the brightness
    teacher = stored(store, keras.Model(image, number))
    with pytest.raises(PupilaError, match=r"no better than a constant answer .* \(R² -\d"):
        run("distill", images, tmp_path, store, teacher)


def stored(store: Store, model: Any) -> Artifact:
    with store.draft() as folder:
        keras_files.save(model, folder)
        return store.add(
            folder,
            format="keras",
            input=INPUT,
            output=OUTPUT,
            origin=Origin(plugin="tiny", distribution="test", version="0"),
        )
