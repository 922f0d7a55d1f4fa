from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from pupila import (
    Dataset,
    InputContract,
    OutputContract,
    PupilaError,
    installed,
    keras_files,
    predictions,
)
from pupila.store import Store
from pupila.testing import (
    TechniqueContract,
    colour_teacher,
    draw_colours,
    finish_after_kill,
    ignore_progress,
    read_images,
    run_step,
    step_for,
)
from pupila.training.batches import Images, all_in_order, epoch_batches
from pupila.training.checkpoint import Checkpoint
from pupila.training.fitting import fit
from pupila.training.loss import distillation_loss, label_loss
from pupila.training.oracle import oracle_loss
from pupila.training.targets import labels_of_views, one_hot, softened_mean
from pupila.views import Augmentation
from pupila_distill import techniques
from pupila_distill.config import (
    ConsistentDistillation,
    Distillation,
    OracleDistillation,
    Training,
)
from pupila_distill.lesson import teach
from pupila_distill.techniques import distill, distill_oracle, train

INPUT = InputContract(height=32, width=32)
CLASSES = ("blue", "red")
QUICK = {
    "student": "conv-32-64-8",
    "size": 32,
    "epochs": 3,
    "batch_size": 8,
    "augmentation": {"views": 2},
}


def with_unlabelled(dataset):
    """Return the dataset with its test images as unlabelled ones."""
    frame = dataset.frame.copy()
    tested = frame["split"] == "test"
    frame.loc[tested, ["split", "label"]] = ["unlabelled", ""]
    return Dataset.of(frame, dataset.classes, dataset.cache)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def teacher(store):
    return colour_teacher(store)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    return read_images(draw_colours(folder / "images"), folder / "cache")


@pytest.fixture
def distilling(teacher, dataset, tmp_path):
    """Return a step of `distill`, or with another `kind` of settings, with some changed."""

    def step(
        folder="step",
        inputs=None,
        images=dataset,
        kind=Distillation,
        progress=ignore_progress,
        **changes,
    ):
        return step_for(
            kind.model_validate(QUICK | changes),
            inputs or [teacher],
            tmp_path / folder,
            dataset=images,
            predictions=predictions.Predictions(tmp_path / "predictions"),
            progress=progress,
        )

    return step


class TestDistillKeepsTheContract(TechniqueContract):
    plugin = "distill"
    config = QUICK

    @classmethod
    def make_dataset(cls, folder):
        return read_images(draw_colours(folder / "images"), folder / "cache")

    @classmethod
    def make_inputs(cls, store, folder):
        return (colour_teacher(store),)


class TestDistillOracleKeepsTheContract(TestDistillKeepsTheContract):
    plugin = "distill-oracle"


class TestDistillConsistentKeepsTheContract(TestDistillKeepsTheContract):
    plugin = "distill-consistent"
    config = QUICK | {"augmentation": {"views": 2, "crop": 0.05, "mixup": 1}}


class TestTrainKeepsTheContract(TechniqueContract):
    plugin = "train"
    config = QUICK


def weights(step):
    """Return the weights that a step wrote."""
    keras = keras_files.import_keras()
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    return model.get_weights()


def difference(first, second):
    return max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))


def test_the_loss_falls_and_the_product_tells_what_was_measured(distilling):
    told = []
    step = distilling(epochs=6, progress=lambda *said: told.append(said))
    product = distill(step)
    measured = product.measured
    assert measured["history"]["loss"][-1] < measured["history"]["loss"][0]
    assert measured["history"]["validation_loss"][-1] < measured["history"]["validation_loss"][0]
    assert len(measured["history"]["validation_accuracy"]) == measured["epochs"] == 6
    (found,) = measured["teachers"]
    assert found["validation_accuracy"]["value"] == found["validation_auc"]["value"] == 1
    assert found["validation_accuracy"]["low"] < 1
    assert measured["seconds"] > 0 and measured["images_per_second"] > 0
    best = min(range(6), key=lambda epoch: measured["history"]["validation_loss"][epoch])
    assert measured["best_epoch"] == best + 1
    assert told[-1][:2] == (6, 6)
    assert told[-1][2].startswith("epochs, validation accuracy ")


def test_what_is_saved_answers_with_probabilities_of_raw_pixels(distilling, dataset):
    step = distilling()
    product = distill(step)
    keras = keras_files.import_keras()
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    validation = dataset.select("validation")
    answers = np.asarray(model(np.asarray(validation.pixels(INPUT), np.float32)))
    assert answers.sum(axis=1) == pytest.approx(np.ones(len(validation)), abs=1e-5)
    accuracy = float((answers.argmax(axis=1) == validation.labels).mean())
    assert accuracy == pytest.approx(product.measured["validation_accuracy"], abs=1e-6)
    assert product.output == OutputContract(kind="softmax", classes=CLASSES)
    assert product.input == INPUT
    assert product.parameters == model.count_params()


def test_alpha_one_is_the_control(distilling, dataset, tmp_path):
    step = distilling(alpha=1)
    distill(step)
    control = step_for(Training.model_validate(QUICK), [], tmp_path / "control", dataset=dataset)
    train(control)
    assert difference(weights(step), weights(control)) < 1e-5


def test_the_teacher_runs_once_for_all_runs(distilling, monkeypatch):
    opened = []

    def counting(artifact, threads=None):
        opened.append(artifact.digest)
        return real(artifact, threads)

    real = predictions.open_model
    monkeypatch.setattr(predictions, "open_model", counting)
    distill(distilling("first", epochs=1))
    assert len(opened) == 2  # for the validation images, and for the views of the others
    distill(distilling("second", epochs=2, alpha=0.5, temperature=2.0))
    assert len(opened) == 2


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


def test_labels_are_mixed_as_the_pictures_are(dataset):
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
        return [int(each) for index in range(len(batches)) for each in batches[index][1][:, 0]]

    first, second = (shown(epoch_batches(images, epoch, 0, 7)) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(24))
    assert first != second
    assert first == shown(epoch_batches(images, 0, 0, 7))
    assert first != shown(epoch_batches(images, 0, 1, 7))
    assert shown(all_in_order(images, 7)) == list(range(24))
    sizes = [len(batch[1]) for batch in map(all_in_order(images, 23).__getitem__, range(2))]
    assert sizes == [12, 12]


def test_a_longer_epoch_shows_some_images_oftener_but_none_left_out(dataset):
    chosen = dataset.select("train")
    numbers = np.arange(len(chosen), dtype=np.float32)[:, np.newaxis]
    images = Images.of(chosen, INPUT, [numbers], Augmentation(views=1), per_epoch=60)
    batches = epoch_batches(images, 0, 0, 7)
    shown = [int(each) for index in range(len(batches)) for each in batches[index][1][:, 0]]
    counts = np.bincount(shown)
    assert (len(shown), counts.min(), counts.max()) == (60, 2, 3)


class KilledError(Exception):
    pass


@pytest.mark.parametrize(
    ("technique", "kind", "student"),
    [
        (distill, Distillation, "conv-32-64-8"),
        (distill_oracle, OracleDistillation, "conv-32-64-8"),
        (distill, ConsistentDistillation, "conv-32-64-8"),
        pytest.param(distill, Distillation, "mobile-xs", marks=pytest.mark.long),
    ],
)
def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(distilling, technique, kind, student):
    settings = {"kind": kind, "student": student, "epochs": 4}
    unbroken, broken = (distilling(name, **settings) for name in ("unbroken", "broken"))
    expected = technique(unbroken).measured
    measured = finish_after_kill(lambda told: technique(replace(broken, progress=told))).measured
    assert measured["history"] == expected["history"]
    assert difference(weights(unbroken), weights(broken)) < 1e-6


@pytest.mark.parametrize(
    "changes",
    [
        {"alpha": 0.9},
        {"weights": [1, 3]},
        {"unlabelled": False},
        {"augmentation": {"views": 1}},
    ],
)
def test_a_checkpoint_of_other_settings_is_ignored(distilling, store, teacher, dataset, changes):
    given = {
        "inputs": [teacher, colour_teacher(store, slope=0.1)],
        "images": with_unlabelled(dataset),
        "epochs": 1,
    }
    distill(distilling(**given))
    measured = distill(distilling(**given, **changes)).measured
    fresh = distill(distilling("fresh", **given, **changes)).measured
    assert measured["history"] == fresh["history"]


def test_patience_ends_training_and_the_best_epoch_is_kept(distilling):
    step = distilling(epochs=12, patience=1, learning_rate=0.5)
    measured = distill(step).measured
    assert measured["epochs"] == measured["best_epoch"] + 1 < 12


def test_without_patience_no_epoch_is_left_out(distilling):
    measured = distill(distilling(epochs=6, patience=None, learning_rate=0.5)).measured
    assert measured["best_epoch"] + 1 < measured["epochs"] == 6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alpha": 1.5}, "less than or equal to 1"),
        ({"alpha": -0.1}, "greater than or equal to 0"),
        ({"alpha": float("nan")}, "finite number"),
        ({"temperature": 0}, "greater than 0"),
        ({"temperature": float("inf")}, "finite number"),
        ({"student": "mobil-xs"}, "Did you mean 'mobile-xs'"),
        ({"size": 16}, "greater than or equal to 32"),
        ({"epoch": 3}, "Extra inputs are not permitted"),
        ({"weights": [1, 0]}, "greater than 0"),
        ({"weights": [1, float("inf")]}, "finite number"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_runs(changes, said):
    with pytest.raises(ValidationError, match=said):
        Distillation.model_validate(QUICK | changes)


def test_a_teacher_at_chance_level_is_refused(distilling, store):
    constant = colour_teacher(store, slope=0)
    with pytest.raises(PupilaError, match=r"not shown to be better than chance: AUC 0\.500 "):
        distill(distilling(inputs=[constant]))


def test_a_reversed_teacher_is_refused_with_the_order_to_declare(distilling, store):
    reversed_teacher = colour_teacher(store, slope=-1)
    with pytest.raises(PupilaError, match=r"AUC 0\.000 .* declare classes: \['red', 'blue'\]"):
        distill(distilling(inputs=[reversed_teacher]))


def test_a_reversed_teacher_with_the_right_order_declared_is_taken(distilling, store):
    declared = colour_teacher(store, slope=-1, classes=("red", "blue"))
    (found,) = distill(distilling(inputs=[declared])).measured["teachers"]
    assert found["validation_accuracy"]["value"] == 1


@pytest.mark.parametrize("loss", [label_loss, distillation_loss(0.1, 4.0), oracle_loss(0.0, 4.0)])
def test_a_loss_that_is_no_number_stops_training(dataset, tmp_path, loss):
    config = Training.model_validate(QUICK)
    chosen = dataset.select("train")
    broken = np.full((len(chosen), 5), np.nan, np.float32)
    images = Images.of(chosen, INPUT, [broken, broken], config.augmentation)
    with pytest.raises(PupilaError, match=r"epoch 1 of 3: loss is nan\. Lower `learning_rate`"):
        fit(
            config.architecture.load()(INPUT, 2),
            loss,
            images,
            images,
            config,
            0,
            Checkpoint(tmp_path / "training.npz", "key"),
            ignore_progress,
        )
    assert not (tmp_path / "training.npz").exists()


def test_the_made_artifact_says_what_it_was_made_of(teacher, dataset, store, tmp_path):
    ran = run_step(
        installed().step("distill"),
        Distillation.model_validate(QUICK | {"epochs": 1}),
        [teacher],
        tmp_path / "run",
        store=store,
        dataset=dataset,
    )
    assert ran.artifact.record.origin.inputs == (teacher.digest,)
    assert ran.artifact.record.measured["epochs"] == 1


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


@pytest.fixture
def lesson_of(monkeypatch):
    """Return the lesson that a technique makes up for a step, not taught."""

    def lesson(technique, step):
        seen = []
        monkeypatch.setattr(techniques, "teach", lambda _, lesson: seen.append(lesson))
        technique(step)
        monkeypatch.setattr(techniques, "teach", teach)
        return seen[0]

    return lesson


def test_several_teachers_of_different_formats_are_learned_from(distilling, teachers):
    measured = distill(distilling(inputs=teachers, epochs=8)).measured
    assert measured["validation_accuracy"] > 0.8
    assert [each["digest"] for each in measured["teachers"]] == [t.digest[:12] for t in teachers]
    assert measured["agreement"] == [[1.0] * 3] * 3
    assert measured["teachers_disagree"] == 0


def test_how_often_teachers_disagree_is_told(distilling, store, teacher, dataset, lesson_of):
    leaning = colour_teacher(store, bias=16 * 60 / 255)  # undecided on blue images
    step = distilling(inputs=[teacher, teacher, leaning])
    measured = lesson_of(distill, step).measured
    chosen = dataset.select("train")
    first, second = (
        step.predictions.of(each, chosen, ignore_progress).argmax(axis=1)
        for each in (teacher, leaning)
    )
    same = round(float((first == second).mean()), 4)
    assert 0 < same < 1
    assert measured["agreement"] == [[1, 1, same], [1, 1, same], [same, same, 1]]
    assert measured["teachers_disagree"] == pytest.approx(1 - same, abs=1e-4)


@pytest.mark.parametrize(("weights", "shares"), [(None, [1, 1, 1]), ([3, 1, 0.5], [3, 1, 0.5])])
def test_the_targets_are_the_weighted_mean_of_the_teachers(
    distilling, teachers, dataset, lesson_of, weights, shares
):
    step = distilling(inputs=teachers, weights=weights, temperature=2.0)
    lesson = lesson_of(distill, step)
    chosen = dataset.select("train")
    augmentation = step.config.augmentation
    answers = [
        step.predictions.of_views(each, chosen, augmentation, ignore_progress) for each in teachers
    ]
    for view, found in enumerate(lesson.targets):
        assert (found[:, :2] == one_hot(chosen.labels, 2)).all()
        roots = [np.sqrt(each[view].astype(np.float64)) for each in answers]
        softened = [each / each.sum(axis=1, keepdims=True) for each in roots]
        mean = sum(s * p for s, p in zip(shares, softened, strict=True)) / sum(shares)
        assert np.exp(found[:, 2:] / 2) == pytest.approx(mean, abs=1e-4)


def test_weights_that_are_not_one_for_each_are_refused_before_a_teacher_runs(
    distilling, teachers, monkeypatch
):
    monkeypatch.setattr(predictions, "open_model", lambda *_: pytest.fail("a teacher runs"))
    with pytest.raises(PupilaError, match=r"has 2 numbers, \[1\.0, 2\.0\], where `from` has 3"):
        distill(distilling(inputs=teachers, weights=[1, 2]))


def test_it_is_told_which_teacher_is_refused(distilling, store, teacher):
    constant = colour_teacher(store, slope=0)
    said = rf"^Teacher 2 of 2 in `from` \(keras, .*artifact {constant.digest[:12]}\) is not shown"
    with pytest.raises(PupilaError, match=said):
        distill(distilling(inputs=[teacher, constant]))


def test_a_teacher_that_answers_what_is_no_number_is_refused(distilling, tmp_path, dataset):
    images = with_unlabelled(dataset)
    distill(distilling(images=images, epochs=1))
    for path in (tmp_path / "predictions").glob("*.npy"):
        answers = np.load(path)
        if len(answers) > len(images.select("validation")):
            np.save(path, answers * np.nan)
    with pytest.raises(PupilaError, match=r"answers \[nan, nan\] to view 0 of '\d+\.png'"):
        distill(distilling(images=images, epochs=1))


@pytest.mark.parametrize("technique", [distill, distill_oracle])
def test_unlabelled_images_are_learned_from_the_teacher(distilling, dataset, lesson_of, technique):
    kind = OracleDistillation if technique is distill_oracle else Distillation
    images = with_unlabelled(dataset)
    step = distilling(images=images, kind=kind)
    lesson = lesson_of(technique, step)
    assert set(lesson.images.frame["split"]) == {"train", "unlabelled"}
    unlabelled = np.flatnonzero(lesson.images.labels < 0)
    assert len(unlabelled) == 24
    for view, found in enumerate(lesson.targets):
        assert (found[unlabelled, :2] == 0).all()
        answers = step.predictions.of_views(
            step.inputs[0], lesson.images, step.config.augmentation, ignore_progress
        )[view]
        expected = softened_mean([answers], [1], step.config.temperature)
        assert found[unlabelled, 2:4] == pytest.approx(expected[unlabelled], abs=1e-4)
    without = lesson_of(technique, distilling("b", images=images, kind=kind, unlabelled=False))
    assert set(without.images.frame["split"]) == {"train"}


def test_figures_of_an_epoch_are_means_over_all_its_images(distilling, dataset, lesson_of):
    step = distilling(
        images=with_unlabelled(dataset), epochs=1, learning_rate=1e-12, batch_size=7, alpha=0.3
    )
    lesson = lesson_of(distill, step)
    measured = teach(step, lesson).measured
    assert measured["unlabelled_images"] == 24
    keras = keras_files.import_keras()
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    student = keras.Model(model.inputs, model.get_layer("logits").output)
    logits = np.asarray(student([np.asarray(lesson.images.pixels(INPUT), np.float32)]))
    told = lesson.targets[0]
    loss = float(np.asarray(lesson.loss(told, logits)).mean())
    truth = np.where(told[:, :2].sum(axis=1) > 0, told[:, :2].argmax(1), told[:, 2:].argmax(1))
    accuracy = float((logits.argmax(axis=1) == truth).mean())
    assert measured["history"]["loss"] == [pytest.approx(loss, abs=2e-4)]
    assert measured["history"]["accuracy"] == [pytest.approx(accuracy, abs=1e-4)]


def test_the_control_sees_no_unlabelled_image(dataset, tmp_path):
    steps = [
        step_for(
            Training.model_validate(QUICK | {"unlabelled": False}),
            [],
            tmp_path / str(number),
            dataset=images,
        )
        for number, images in enumerate((dataset, with_unlabelled(dataset)))
    ]
    assert [train(step).measured["unlabelled_images"] for step in steps] == [0, 0]
    assert difference(*map(weights, steps)) == 0


def test_the_control_beside_unlabelled_images_takes_as_many_steps(
    distilling, dataset, tmp_path, monkeypatch
):
    steps = []

    def counted(images, *given):
        steps.append(len(epoch_batches(images, *given)))
        return epoch_batches(images, *given)

    monkeypatch.setattr("pupila.training.fitting.epoch_batches", counted)
    images = with_unlabelled(dataset)
    taught = distilling(images=images, epochs=1)
    known = Training.model_fields
    config = {name: value for name, value in taught.config.model_dump().items() if name in known}
    alone = step_for(Training.model_validate(config), [], tmp_path / "alone", dataset=images)
    distill(taught)
    assert train(alone).measured["unlabelled_images"] == 0
    assert steps == [6] * 4  # 24 labelled and 24 unlabelled, 8 at a time


def test_oracle_learns_though_no_teacher_is_right_on_some_images(distilling, teachers, mislabelled):
    given = {"inputs": teachers, "images": mislabelled, "epochs": 8}
    measured = distill_oracle(distilling(kind=OracleDistillation, **given)).measured
    assert np.isfinite(measured["history"]["loss"]).all()
    assert measured["taught_by"] == {
        "all": pytest.approx(20 / 24, abs=1e-4),
        "some": 0,
        "none": pytest.approx(4 / 24, abs=1e-4),
    }
    assert measured["validation_accuracy"] > 0.8


def test_oracle_takes_the_label_where_no_teacher_is_right(
    distilling, teachers, mislabelled, lesson_of
):
    step = distilling(kind=OracleDistillation, inputs=teachers, images=mislabelled)
    lesson = lesson_of(distill_oracle, step)
    chosen = lesson.images
    answers = step.predictions.of(teachers[0], chosen, ignore_progress)
    assert lesson.targets[0][:, 4].tolist() == (answers.argmax(1) == chosen.labels).tolist()
    assert lesson.validation_targets[:, 4].min() == 1


def test_the_consistent_one_is_patient_and_has_hard_views():
    config = ConsistentDistillation()
    assert (config.alpha, config.temperature, config.patience) == (0, 1, None)
    assert (config.epochs, config.augmentation.views) == (300, 16)
    assert config.augmentation.crop == pytest.approx(0.05) and config.augmentation.mixup == 1
    assert not config.augmentation.original


def test_what_no_view_shows_as_it_is_is_judged_on_the_validation_images_as_they_are(
    distilling, dataset, lesson_of, monkeypatch
):
    judged = []

    def remembered(images, *given):
        judged.append(images)
        return all_in_order(images, *given)

    monkeypatch.setattr("pupila.training.fitting.all_in_order", remembered)
    hard = {"views": 2, "original": False, "mixup": 1}
    step = distilling(kind=ConsistentDistillation, epochs=1, augmentation=hard)
    lesson = lesson_of(distill, step)
    assert lesson.targets[0][:, :2].max(axis=1).min() < 1, "mixed labels in the first view"
    teach(step, lesson)
    plain = dataset.select("validation").pixels(INPUT)
    np.testing.assert_array_equal(judged[0].view(np.arange(24), 0), np.asarray(plain))
