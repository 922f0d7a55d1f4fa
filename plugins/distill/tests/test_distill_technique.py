"""Techniques that learn from teachers, their control, their settings, and how they go on."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from pupila import InputSpec, OutputSpec, PupilaError, installed, keras_files, predictions
from pupila.testing import (
    TechniqueContract,
    colour_dataset,
    colour_teacher,
    finish_after_kill,
    ignore_progress,
    run_step,
    step_for,
)
from pupila.training.batches import Images, epoch_batches
from pupila.training.checkpoint import Checkpoint
from pupila.training.fitting import fit
from pupila.training.loss import distillation_loss, label_loss
from pupila.training.oracle import oracle_loss
from pupila_distill.config import (
    Beginning,
    ConsistentDistillation,
    Distillation,
    FineTuning,
    OracleDistillation,
    Training,
)
from pupila_distill.new_student import new_student
from pupila_distill.techniques import distill, distill_oracle, train

INPUT = InputSpec(height=32, width=32)
CLASSES = ("blue", "red")
QUICK = {
    "student": "conv-32-64-8",
    "size": 32,
    "epochs": 3,
    "batch_size": 8,
    "augmentation": {"views": 2},
}


class TestDistillKeepsTheContract(TechniqueContract):
    plugin = "distill"
    config = QUICK

    @classmethod
    def make_dataset(cls, folder):
        return colour_dataset(folder)

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


class TestFineTuneKeepsTheContract(TechniqueContract):
    plugin = "fine-tune"
    config = QUICK | {"student": {"from": "teacher", "head": 4}, "size": None}


@pytest.mark.parametrize(
    ("size", "shape"), [(48, (48, 48)), ([32, 64], (32, 64)), ((64, 40), (64, 40))]
)
def test_a_size_is_one_side_or_height_and_width(distilling, size, shape):
    assert new_student(distilling(size=size)).input_shape == (None, *shape, 3)


@pytest.mark.parametrize("size", [31, [31, 64], [64], [64, 64, 64], "large"])
def test_a_size_of_another_form_is_refused(size):
    with pytest.raises(ValidationError, match="size"):
        Training.model_validate(QUICK | {"size": size})


def test_fine_tuning_takes_the_beginning_of_its_model():
    assert FineTuning().student == Beginning.model_validate({"from": "teacher"})
    assert FineTuning().learning_rate == 1e-3
    with pytest.raises(
        ValidationError, match="it is 'mobile-xs', but `fine-tune` trains the begin"
    ):
        FineTuning(student="mobile-xs")


def weights(step):
    """Return the weights that a step wrote."""
    keras = keras_files.import_keras()
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    return model.get_weights()


def difference(first, second):
    return max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))


def test_the_loss_falls_and_the_result_has_what_was_measured(distilling):
    reports = []
    step = distilling(epochs=6, progress=lambda *said: reports.append(said))
    product = distill(step)
    measured = product.measured
    assert measured["history"]["loss"][-1] < measured["history"]["loss"][0]
    assert measured["history"]["validation_loss"][-1] < measured["history"]["validation_loss"][0]
    assert len(measured["history"]["validation_accuracy"]) == measured["epochs"] == 6
    (quality,) = measured["teachers"]
    assert quality["validation_accuracy"]["value"] == quality["validation_auc"]["value"] == 1
    assert quality["validation_accuracy"]["low"] < 1
    assert measured["seconds"] > 0 and measured["images_per_second"] > 0
    best = min(range(6), key=lambda epoch: measured["history"]["validation_loss"][epoch])
    assert measured["best_epoch"] == best + 1
    assert reports[-1][:2] == (6, 6)
    assert reports[-1][2].startswith("epochs, validation accuracy ")


def test_the_saved_model_gives_probabilities_from_raw_pixels(distilling, dataset):
    step = distilling()
    product = distill(step)
    keras = keras_files.import_keras()
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    validation = dataset.select("validation")
    answers = np.asarray(model(np.asarray(validation.pixels(INPUT), np.float32)))
    assert answers.sum(axis=1) == pytest.approx(np.ones(len(validation)), abs=1e-5)
    accuracy = float((answers.argmax(axis=1) == validation.labels).mean())
    assert accuracy == pytest.approx(product.measured["validation_accuracy"], abs=1e-6)
    assert product.output == OutputSpec(kind="softmax", classes=CLASSES)
    assert product.input == INPUT
    assert product.parameters == model.count_params()


def test_alpha_one_is_the_control(distilling, dataset, tmp_path):
    step = distilling(alpha=1)
    distill(step)
    control = step_for(Training.model_validate(QUICK), [], tmp_path / "control", dataset=dataset)
    train(control)
    assert difference(weights(step), weights(control)) < 1e-5


def test_the_control_sees_no_unlabelled_image(dataset, tmp_path, with_unlabelled):
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
    distilling, dataset, tmp_path, monkeypatch, with_unlabelled
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
    ("technique", "kind", "student"),
    [
        (distill, Distillation, "conv-32-64-8"),
        (distill_oracle, OracleDistillation, "conv-32-64-8"),
        (distill, ConsistentDistillation, "conv-32-64-8"),
        pytest.param(distill, Distillation, "mobile-xs", marks=pytest.mark.long),
    ],
)
def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(distilling, technique, kind, student):
    settings = {"config": kind, "student": student, "epochs": 4}
    unbroken, broken = (distilling(name, **settings) for name in ("unbroken", "broken"))
    expected = technique(unbroken).measured
    measured = finish_after_kill(technique, broken).measured
    assert measured["history"] == expected["history"]
    assert difference(weights(unbroken), weights(broken)) < 1e-6


@pytest.mark.long
@pytest.mark.parametrize(
    "changes",
    [
        {"alpha": 0.9},
        {"weights": [1, 3]},
        {"unlabelled": False},
        {"augmentation": {"views": 1}},
    ],
)
def test_a_checkpoint_of_other_settings_is_ignored(
    distilling, store, teacher, dataset, changes, with_unlabelled
):
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


@pytest.mark.parametrize("loss", [label_loss, distillation_loss(0.1, 4.0), oracle_loss(0.0, 4.0)])
def test_a_loss_that_is_not_finite_stops_training(dataset, tmp_path, loss):
    config = Training.model_validate(QUICK)
    chosen = dataset.select("train")
    broken = np.full((len(chosen), 5), np.nan, np.float32)
    images = Images.of(chosen, INPUT, [broken, broken], config.augmentation)
    with pytest.raises(PupilaError, match=r"epoch 1 of 3: loss is nan\. Lower `learning_rate`"):
        fit(
            installed().student(str(config.student)).load()(INPUT, 2),
            loss,
            images,
            images,
            config,
            0,
            Checkpoint(tmp_path / "training.npz", "key"),
            ignore_progress,
        )
    assert not (tmp_path / "training.npz").exists()


def test_the_artifact_records_its_origin(teacher, dataset, store, tmp_path):
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


def test_consistent_distillation_is_patient_and_has_hard_views():
    config = ConsistentDistillation()
    assert (config.alpha, config.temperature, config.patience) == (0, 1, None)
    assert (config.epochs, config.augmentation.views) == (300, 16)
    assert config.augmentation.crop == pytest.approx(0.05) and config.augmentation.mixup == 1
    assert not config.augmentation.original
