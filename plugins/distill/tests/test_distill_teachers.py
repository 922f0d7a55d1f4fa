"""Which teachers are accepted, and how several are combined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pupila import PupilaError, installed, predictions
from pupila.testing import colour_teacher, draw_colours, ignore_progress, read_images, run_step
from pupila.training.targets import one_hot
from pupila_distill.config import OracleDistillation
from pupila_distill.techniques import distill, distill_oracle


def test_a_teacher_at_chance_level_is_refused(distilling, store):
    constant = colour_teacher(store, slope=0)
    with pytest.raises(PupilaError, match=r"not shown to be above chance on .* AUC 0\.500, p = "):
        distill(distilling(inputs=[constant]))


def test_a_reversed_teacher_is_refused_with_the_order_to_declare(distilling, store):
    reversed_teacher = colour_teacher(store, slope=-1)
    with pytest.raises(
        PupilaError, match=r"AUC 0\.000, .* in the order red, blue it would reach 1\.000"
    ):
        distill(distilling(inputs=[reversed_teacher]))


def test_an_unproven_teacher_is_accepted(distilling, store):
    step = replace(distilling(inputs=[colour_teacher(store, slope=0)], epochs=1), unproven=True)
    (quality,) = distill(step).measured["teachers"]
    assert quality["validation_accuracy"]["value"] == 0.5


def test_a_reversed_teacher_with_the_right_order_declared_is_taken(distilling, store):
    declared = colour_teacher(store, slope=-1, classes=("red", "blue"))
    (quality,) = distill(distilling(inputs=[declared])).measured["teachers"]
    assert quality["validation_accuracy"]["value"] == 1


@pytest.fixture(scope="module")
def teachers(store, teacher, tmp_path_factory):
    """Three that agree in most: a Keras model, one with its columns reversed, and a TFLite file."""
    exporter = installed().step("export-tflite")
    folder = tmp_path_factory.mktemp("export")
    unsure = colour_teacher(store, slope=0.1)
    exported = run_step(exporter, exporter.config(), [unsure], folder, store=store).artifact
    return [teacher, colour_teacher(store, slope=-0.5, classes=("red", "blue")), exported]


@pytest.fixture(scope="module")
def mislabelled(tmp_path_factory):
    """Images of which two of each training class have the other's colour: no teacher is right."""
    folder = tmp_path_factory.mktemp("mislabelled")
    images = draw_colours(folder / "images")
    for number in ("0.png", "1.png"):
        blue, red = (images / "train" / name / number for name in ("blue", "red"))
        aside = blue.rename(folder / number)
        red.rename(blue)
        aside.rename(red)
    return read_images(images, folder / "cache")


def test_several_teachers_of_different_formats_are_learned_from(distilling, teachers):
    measured = distill(distilling(inputs=teachers, epochs=8)).measured
    assert measured["validation_accuracy"] > 0.8
    assert [quality["digest"] for quality in measured["teachers"]] == [
        t.digest[:12] for t in teachers
    ]
    assert measured["agreement"] == [[1.0] * 3] * 3
    assert measured["teachers_disagree"] == 0


def test_how_often_teachers_disagree_is_reported(distilling, store, teacher, dataset, targets_of):
    leaning = colour_teacher(store, bias=16 * 60 / 255)  # undecided on blue images
    step = distilling(inputs=[teacher, teacher, leaning])
    measured = targets_of(distill, step).measured
    chosen = dataset.select("train")
    first, second = (
        step.predictions.of(artifact, chosen, ignore_progress).argmax(axis=1)
        for artifact in (teacher, leaning)
    )
    same = round(float((first == second).mean()), 4)
    assert 0 < same < 1
    assert measured["agreement"] == [[1, 1, same], [1, 1, same], [same, same, 1]]
    assert measured["teachers_disagree"] == pytest.approx(1 - same, abs=1e-4)


@pytest.mark.parametrize(("weights", "shares"), [(None, [1, 1, 1]), ([3, 1, 0.5], [3, 1, 0.5])])
def test_the_targets_are_the_weighted_mean_of_the_teachers(
    distilling, teachers, dataset, targets_of, weights, shares
):
    step = distilling(inputs=teachers, weights=weights, temperature=2.0)
    targets = targets_of(distill, step)
    chosen = dataset.select("train")
    augmentation = step.config.augmentation
    answers = [
        step.predictions.of_views(artifact, chosen, augmentation, ignore_progress)
        for artifact in teachers
    ]
    for view, columns in enumerate(targets.views):
        assert (columns[:, :2] == one_hot(chosen.labels, 2)).all()
        roots = [np.sqrt(views[view].astype(np.float64)) for views in answers]
        softened = [root / root.sum(axis=1, keepdims=True) for root in roots]
        mean = sum(s * p for s, p in zip(shares, softened, strict=True)) / sum(shares)
        assert np.exp(columns[:, 2:] / 2) == pytest.approx(mean, abs=1e-4)


def test_weights_that_are_not_one_for_each_are_refused_before_a_teacher_runs(
    distilling, teachers, monkeypatch
):
    monkeypatch.setattr(predictions, "open_model", lambda *_: pytest.fail("a teacher runs"))
    with pytest.raises(PupilaError, match=r"has 2 numbers, \[1\.0, 2\.0\], where `from` has 3"):
        distill(distilling(inputs=teachers, weights=[1, 2]))


def test_the_message_names_the_teacher_that_is_refused(distilling, store, teacher):
    constant = colour_teacher(store, slope=0)
    said = rf"^Teacher 2 of 2 in `from` \(keras, .*artifact {constant.digest[:12]}\) is not shown"
    with pytest.raises(PupilaError, match=said):
        distill(distilling(inputs=[teacher, constant]))


def test_a_teacher_whose_answers_are_not_finite_is_refused(
    distilling, tmp_path, dataset, with_unlabelled
):
    images = with_unlabelled(dataset)
    distill(distilling(images=images, epochs=1))
    for path in (tmp_path / "predictions").glob("*.npy"):
        answers = np.load(path)
        if len(answers) > len(images.select("validation")):
            np.save(path, answers * np.nan)
    with pytest.raises(PupilaError, match=r"answers \[nan, nan\] to view 0 of '\d+\.png'"):
        distill(distilling(images=images, epochs=1))


def test_oracle_learns_though_no_teacher_is_right_on_some_images(distilling, teachers, mislabelled):
    given = {"inputs": teachers, "images": mislabelled, "epochs": 8}
    measured = distill_oracle(distilling(config=OracleDistillation, **given)).measured
    assert np.isfinite(measured["history"]["loss"]).all()
    assert measured["taught_by"] == {
        "all": pytest.approx(20 / 24, abs=1e-4),
        "some": 0,
        "none": pytest.approx(4 / 24, abs=1e-4),
    }
    assert measured["validation_accuracy"] > 0.8


def test_oracle_takes_the_label_where_no_teacher_is_right(
    distilling, teachers, mislabelled, targets_of
):
    step = distilling(config=OracleDistillation, inputs=teachers, images=mislabelled)
    targets = targets_of(distill_oracle, step)
    chosen = targets.images
    answers = step.predictions.of(teachers[0], chosen, ignore_progress)
    assert targets.views[0][:, 4].tolist() == (answers.argmax(1) == chosen.labels).tolist()
    assert targets.validation[:, 4].min() == 1
