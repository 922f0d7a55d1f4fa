"""What a student is shown: views, epochs, mixed images and unlabelled ones."""

from __future__ import annotations

import numpy as np
import pytest

from pupila import InputSpec, PupilaError, keras_files, predictions
from pupila.testing import ignore_progress
from pupila.training.batches import Images, all_in_order, epoch_batches
from pupila.training.targets import labels_of_views, one_hot, softened_mean
from pupila.views import Augmentation
from pupila_distill.config import ConsistentDistillation, Distillation, OracleDistillation
from pupila_distill.techniques import distill, distill_oracle
from pupila_distill.training import train_student

INPUT = InputSpec(height=32, width=32)


@pytest.mark.parametrize(
    "augmentation", [Augmentation(views=3), Augmentation(views=3, crop=0.05, mixup=1)]
)
def test_teacher_and_student_see_the_same_picture(teacher, dataset, tmp_path, augmentation):
    chosen = dataset.select("train")
    kept = predictions.Predictions(tmp_path)
    answers = kept.of_views(teacher, chosen, augmentation, ignore_progress)
    images = Images.of(chosen, INPUT, list(answers), augmentation)
    model = keras_files.load(teacher)
    for epoch in range(4):
        for pictures, wanted in map(epoch_batches(images, epoch, 0, 8).__getitem__, range(3)):
            assert wanted == pytest.approx(np.asarray(model(pictures.astype(np.float32))), abs=1e-4)


def test_labels_are_mixed_as_the_pictures_are(dataset, with_unlabelled):
    chosen = with_unlabelled(dataset).select("train", "unlabelled")
    augmentation, sha256 = Augmentation(views=3, mixup=1), chosen.frame["sha256"].tolist()
    labels = labels_of_views(chosen, augmentation)
    assert (labels[0] == one_hot(chosen.labels, 2)).all()
    for view in (1, 2):
        partners, parts = augmentation.mixture(sha256, view)
        for row, (partner, part) in enumerate(zip(partners, parts, strict=True)):
            expected = np.zeros(2)
            for image, share in ((row, part), (partner, 1 - part)):
                if chosen.labels[image] >= 0:
                    expected[chosen.labels[image]] += share
            assert labels[view][row] == pytest.approx(expected, abs=1e-6)
    plain = labels_of_views(chosen, Augmentation(views=2))
    assert (plain[1] == plain[0]).all() and (labels[1] != labels[0]).any()


def test_an_epoch_shows_every_image_once_in_its_own_order(dataset):
    chosen = dataset.select("train")
    numbers = np.arange(len(chosen), dtype=np.float32)[:, np.newaxis]
    images = Images.of(chosen, INPUT, [numbers, numbers], Augmentation(views=2))

    def shown(batches):
        return [int(value) for index in range(len(batches)) for value in batches[index][1][:, 0]]

    first, second = (shown(epoch_batches(images, epoch, 0, 7)) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(24))
    assert first != second
    assert first == shown(epoch_batches(images, 0, 0, 7))
    assert first != shown(epoch_batches(images, 0, 1, 7))
    assert shown(all_in_order(images, 7)) == list(range(24))
    sizes = [len(batch[1]) for batch in map(all_in_order(images, 23).__getitem__, range(2))]
    assert sizes == [12, 12]


def test_a_longer_epoch_shows_some_images_more_often_and_leaves_none_out(dataset):
    chosen = dataset.select("train")
    numbers = np.arange(len(chosen), dtype=np.float32)[:, np.newaxis]
    images = Images.of(chosen, INPUT, [numbers], Augmentation(views=1), per_epoch=60)
    batches = epoch_batches(images, 0, 0, 7)
    shown = [int(value) for index in range(len(batches)) for value in batches[index][1][:, 0]]
    counts = np.bincount(shown)
    assert (len(shown), counts.min(), counts.max()) == (60, 2, 3)


@pytest.mark.parametrize("technique", [distill, distill_oracle])
def test_unlabelled_images_are_learned_from_the_teacher(
    distilling, dataset, targets_of, technique, with_unlabelled
):
    kind = OracleDistillation if technique is distill_oracle else Distillation
    images = with_unlabelled(dataset)
    step = distilling(images=images, config=kind)
    targets = targets_of(technique, step)
    assert set(targets.images.frame["split"]) == {"train", "unlabelled"}
    unlabelled = np.flatnonzero(targets.images.labels < 0)
    assert len(unlabelled) == 24
    for view, columns in enumerate(targets.views):
        assert (columns[unlabelled, :2] == 0).all()
        answers = step.predictions.of_views(
            step.inputs[0], targets.images, step.config.augmentation, ignore_progress
        )[view]
        expected = softened_mean([answers], [1], step.config.temperature)
        assert columns[unlabelled, 2:4] == pytest.approx(expected[unlabelled], abs=1e-4)
    without = targets_of(technique, distilling("b", images=images, config=kind, unlabelled=False))
    assert set(without.images.frame["split"]) == {"train"}


def test_metrics_of_an_epoch_are_means_over_all_its_images(
    distilling, dataset, targets_of, with_unlabelled
):
    step = distilling(
        images=with_unlabelled(dataset), epochs=1, learning_rate=1e-12, batch_size=7, alpha=0.3
    )
    targets = targets_of(distill, step)
    measured = train_student(step, targets).measured
    assert measured["unlabelled_images"] == 24
    keras = keras_files.import_keras()
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    student = keras.Model(model.inputs, model.get_layer("logits").output)
    logits = np.asarray(student([np.asarray(targets.images.pixels(INPUT), np.float32)]))
    of_view = targets.views[0]
    loss = float(np.asarray(targets.loss(of_view, logits)).mean())
    truth = np.where(
        of_view[:, :2].sum(axis=1) > 0, of_view[:, :2].argmax(1), of_view[:, 2:].argmax(1)
    )
    accuracy = float((logits.argmax(axis=1) == truth).mean())
    assert measured["history"]["loss"] == [pytest.approx(loss, abs=2e-4)]
    assert measured["history"]["accuracy"] == [pytest.approx(accuracy, abs=1e-4)]


def test_validation_images_are_evaluated_as_they_are_even_if_no_view_is(
    distilling, dataset, targets_of, monkeypatch
):
    evaluated = []

    def remembered(images, *given):
        evaluated.append(images)
        return all_in_order(images, *given)

    monkeypatch.setattr("pupila.training.fitting.all_in_order", remembered)
    hard = {"views": 2, "original": False, "mixup": 1}
    step = distilling(config=ConsistentDistillation, epochs=1, augmentation=hard)
    targets = targets_of(distill, step)
    assert targets.views[0][:, :2].max(axis=1).min() < 1, "mixed labels in the first view"
    train_student(step, targets)
    plain = dataset.select("validation").pixels(INPUT)
    np.testing.assert_array_equal(evaluated[0].view(np.arange(24), 0), np.asarray(plain))


# Sources, and answers to several views ---------------------------------------------------------


@pytest.fixture
def of_two_sources(dataset, with_unlabelled):
    """Two thirds of the images are from here; the unlabelled third is from elsewhere."""
    images = with_unlabelled(dataset)
    images.frame["source"] = np.where(images.frame["split"] == "unlabelled", "there", "here")
    return images


@pytest.mark.parametrize("technique", [distill, distill_oracle])
def test_images_of_a_source_have_the_weight_of_the_settings(
    distilling, targets_of, of_two_sources, technique
):
    kind = {distill: Distillation, distill_oracle: OracleDistillation}[technique]
    given = {"images": of_two_sources, "config": kind}
    plain = targets_of(technique, distilling(**given))
    targets = targets_of(technique, distilling(**given, source_weights={"there": 3}))
    outputs = np.random.default_rng(0).normal(size=(len(targets.images), 2)).astype(np.float32)
    losses = np.asarray(plain.loss(plain.views[1], outputs))
    elsewhere = targets.images.frame["source"] == "there"
    expected = losses * np.where(elsewhere, 3, 1) / 2  # 24 and 24 images weigh 2 on average
    assert np.asarray(targets.loss(targets.views[1][:], outputs)) == pytest.approx(
        expected, rel=1e-5
    )
    values = np.asarray(targets.loss(targets.validation, outputs[:24]))
    assert values == pytest.approx(np.asarray(plain.loss(plain.validation, outputs[:24])))


def test_a_source_that_no_image_has_is_refused(distilling, of_two_sources, dataset):
    with pytest.raises(PupilaError, match=r"Did you mean 'there'\? There are: 'here', 'there'"):
        distill(distilling(images=of_two_sources, source_weights={"ther": 2}))
    with pytest.raises(PupilaError, match="the images have no source: give a CSV manifest"):
        distill(distilling(images=dataset, source_weights={"there": 2}))


def test_the_mean_over_views_is_learned_from_each_of_them(distilling, targets_of):
    augmentation = {"views": 3}
    own = targets_of(distill, distilling(augmentation=augmentation, temperature=1))
    targets = targets_of(
        distill, distilling(augmentation=augmentation, temperature=1, mean_over_views=True)
    )
    answers = [
        np.exp(of_view[:, 2:]) / np.exp(of_view[:, 2:]).sum(axis=1, keepdims=True)
        for of_view in own.views
    ]
    for mean_view in targets.views:
        shown = np.exp(mean_view[:, 2:])
        assert shown == pytest.approx(np.mean(answers, axis=0), abs=1e-5)


def test_mixtures_have_no_mean_over_views():
    config = ConsistentDistillation(mean_over_views=True)
    with pytest.raises(PupilaError, match=r"`mixup` is 1\.0, but mixtures"):
        config.check_inputs(1)
