from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from pupila import Dataset, PupilaError, installed, keras_files
from pupila.testing import (
    INPUT,
    TechniqueContract,
    finish_after_kill,
    store_model,
)
from pupila_oneclass.config import OneClass
from pupila_oneclass.technique import one_class

QUICK = {
    "positive": "square",
    "epochs": 3,
    "batch_size": 8,
    "hidden": 16,
    "augmentation": {"views": 2},
}


class TestOneClassKeepsTheContract(TechniqueContract):
    plugin = "one-class"
    config = QUICK


class TestOneClassFromRandomWeightsKeepsTheContract(TechniqueContract):
    plugin = "one-class"
    config = QUICK | {"student": "conv-32-64-8", "size": 32}

    @classmethod
    def make_inputs(cls, store, folder):
        return ()


def saved(step):
    """Return the model that a step saved."""
    keras = keras_files.import_keras()
    return keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)


def answers(step, images):
    pixels = np.asarray(images.pixels(INPUT), np.float32)
    return saved(step).predict(pixels, verbose=0)


def relabelled(images, change):
    """Return a dataset with another frame."""
    frame = images.frame.copy()
    change(frame)
    return Dataset.of(frame, sorted(set(frame["label"])), images.cache)


def test_the_answer_is_one_half_at_the_threshold_and_target_sensitivity_at_the_median(
    step_on, colours
):
    step = step_on(target_sensitivity=0.8)
    product = one_class(step)
    validation = colours.select("validation")
    blue = answers(step, validation)[validation.labels == 0, 0]
    assert len(blue) == 12
    assert (blue >= 0.5).sum() == 10
    middle = np.median(np.log(blue / (1 - blue)))
    assert middle == pytest.approx(np.log(0.8 / 0.2), abs=1e-3)
    assert product.measured["validation_accepted"]["value"] == pytest.approx(10 / 12)


def test_it_ships_a_threshold_that_says_what_chose_it(step_on):
    threshold = one_class(step_on()).threshold
    assert threshold is not None and threshold.rule is not None
    assert (threshold.positive, threshold.value) == ("blue", 0.5)
    assert threshold.chosen_on == "12 blue validation images alone, to accept 0.99 of them"
    assert (threshold.rule.figure, threshold.rule.target) == ("sensitivity", 0.99)
    assert (threshold.rule.positives, threshold.rule.others) == (12, 0)


def test_either_class_may_be_the_one_that_is_learned(step_on, colours):
    step = step_on(positive="red", epochs=10, learning_rate=0.01)
    product = one_class(step)
    tested = colours.select("test")
    red = answers(step, tested)[:, 1]
    assert product.output.classes == ("blue", "red")
    assert red[tested.labels == 1].mean() > red[tested.labels == 0].mean() + 0.3


def test_all_images_are_one_class_if_no_class_is_named(step_on, colours):
    step = step_on(positive=None)
    product = one_class(step)
    assert product.output.classes == step.config.own_classes == ("known", "other")
    assert product.threshold is not None
    assert product.threshold.chosen_on.startswith("24 known validation images alone")
    assert product.measured["images"] == len(colours.select("train"))
    known = answers(step, colours.select("validation"))[:, 0]
    assert (known >= 0.5).all()
    dark = np.random.default_rng(0).uniform(0, 20, (8, 32, 32, 3))
    assert saved(step).predict(dark, verbose=0)[:, 0].mean() < known.mean() - 0.2


def test_images_without_classes_are_learned_as_a_whole_alone():
    localization = installed().task("localization")
    assert OneClass(positive=None).for_task(localization).learned == "known"
    with pytest.raises(
        PupilaError, match=r"'disc', a class.*learn all images with `positive: null"
    ):
        OneClass(positive="disc").for_task(localization)


def test_images_of_other_classes_change_only_what_is_measured(step_on, colours):
    def leave_blue(frame):
        others = (frame["label"] == "red") & (frame["split"] != "test")
        frame.drop(frame.index[others], inplace=True)

    whole, alone = step_on("whole"), step_on("alone", images=relabelled(colours, leave_blue))
    seen, unseen = one_class(whole), one_class(alone)
    for one, other in zip(saved(whole).get_weights(), saved(alone).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "auc" in seen.measured["on_validation"]["one-class CNN"]
    assert list(unseen.measured["on_validation"]["one-class CNN"]) == ["accepted"]


@pytest.mark.long
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fine_tune": True},
        {"layer": "dense"},
        {"inputs": (), "student": "conv-32-64-8", "size": 32},
    ],
    ids=["frozen", "fine-tuned", "a dense layer", "a student"],
)
def test_the_loss_falls_whatever_the_features_are(step_on, changes):
    measured = one_class(step_on(epochs=4, learning_rate=0.01, **changes)).measured
    losses = measured["history"]["loss"]
    assert len(losses) == 4
    assert losses[-1] < losses[0]


def test_a_frozen_teacher_stays_as_it_is_and_a_fine_tuned_one_changes_its_last_stage(step_on):
    frozen, tuned = step_on("frozen"), step_on("tuned", fine_tune=True, learning_rate=0.05)
    one_class(frozen)
    one_class(tuned)
    before, after = saved(frozen), saved(tuned)

    def changed(name):
        pairs = zip(
            before.get_layer(name).get_weights(), after.get_layer(name).get_weights(), strict=True
        )
        return any(not np.array_equal(one, other) for one, other in pairs)

    assert [changed(name) for name in ("conv", "norm", "last_conv")] == [False, False, True]


def test_features_are_computed_once_whatever_the_settings_of_the_classifier(step_on, monkeypatch):
    one_class(step_on("first"))

    def refuse(*_):
        raise AssertionError("the teacher was opened again")

    monkeypatch.setattr("pupila_oneclass.features._predictor", refuse)
    one_class(step_on("second", hidden=8, sigma=0.1, target_sensitivity=0.9))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param({"inputs": (), "student": "conv-32-64-8", "size": 32}, marks=pytest.mark.long),
    ],
    ids=["head", "student"],
)
def test_a_killed_run_continues_to_the_same_weights(step_on, changes):
    whole, killed = step_on("whole", **changes), step_on("killed", **changes)
    one_class(whole)
    finish_after_kill(one_class, killed)
    for one, other in zip(saved(whole).get_weights(), saved(killed).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_another_seed_gives_another_classifier(step_on):
    first, second = step_on("first", seed=0), step_on("second", seed=1)
    one_class(first)
    one_class(second)
    one, other = (saved(step).get_layer("one_class_hidden").kernel for step in (first, second))
    assert not np.allclose(np.asarray(one), np.asarray(other))


def test_it_is_measured_with_the_baselines(step_on):
    measured = one_class(step_on()).measured
    by_method = measured["on_validation"]
    assert set(by_method) == {
        "one-class CNN",
        "one-class SVM",
        "Mahalanobis distance",
        "nearest neighbour",
    }
    for quality in by_method.values():
        assert 0 <= quality["auc"]["low"] <= quality["auc"]["value"] <= quality["auc"]["high"] <= 1
        assert quality["accepted"]["value"] == 1
        assert 0 <= quality["accepted_of_others"]["value"] <= 1


def no_blue_to(split):
    def drop(frame):
        frame.drop(
            frame.index[(frame["label"] == "blue") & (frame["split"] == split)], inplace=True
        )

    return drop


def one_blue(frame):
    rows = frame.index[(frame["label"] == "blue") & (frame["split"] == "validation")]
    frame.drop(rows[1:], inplace=True)


def third_class(frame):
    frame.loc[frame.index[frame["label"] == "red"][:4], "label"] = "green"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_blue_to("train"), "no training image of 'blue'"),
        (no_blue_to("validation"), "no validation image of 'blue'"),
        (one_blue, r"images of 'blue' are answered alike \(1 in all\)"),
        (third_class, r"3 classes, \['blue', 'green', 'red'\].*expected, one of them 'blue'"),
    ],
)
def test_data_that_cannot_be_learned_from_is_refused(step_on, colours, change, message):
    with pytest.raises(PupilaError, match=message):
        one_class(step_on(images=relabelled(colours, change)))


def test_an_unknown_class_is_refused_with_the_nearest(step_on):
    with pytest.raises(PupilaError, match=r"'blu', which is not one of .*mean 'blue'"):
        one_class(step_on(positive="blu"))


def test_features_that_are_not_finite_are_refused(step_on, store, teacher):
    model = keras_files.load(teacher)
    kernel, bias = model.get_layer("last_conv").get_weights()
    model.get_layer("last_conv").set_weights([kernel, bias + np.inf])
    broken = store_model(store, model, ("happy", "sad"))
    with pytest.raises(PupilaError, match="NaN or infinite to 12 of 12 images"):
        one_class(step_on(inputs=[broken]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"student": "mobile-xx"}, "mobile-xs"),
        ({"size": 64}, "`size` is 64, but it is for a `student`"),
        ({"student": "mobile-xs", "layer": "pool"}, "`layer` is 'pool', but it is for a teacher"),
        ({"student": "mobile-xs", "fine_tune": True}, "`fine_tune` is True"),
        ({"target_sensitivity": 1}, "less than 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        OneClass.model_validate({"positive": "blue"} | settings)


@pytest.mark.parametrize(
    ("settings", "count", "message"),
    [
        ({}, 0, "nothing to take features from"),
        ({"student": "mobile-xs"}, 1, "leave the other out"),
    ],
)
def test_features_come_from_a_teacher_or_a_student_and_not_from_both(settings, count, message):
    with pytest.raises(PupilaError, match=message):
        OneClass.model_validate({"positive": "blue"} | settings).check_inputs(count)


def test_the_baselines_get_normalised_features(step_on, monkeypatch):
    recorded = []

    def record(learner, train, features, is_positive, target_sensitivity):
        recorded.extend([train, features])
        return {}

    monkeypatch.setattr("pupila_oneclass.technique.compare_with_baselines", record)
    one_class(step_on())
    assert [features.shape for features in recorded] == [(12, 16), (24, 16)]
    for features in recorded:
        np.testing.assert_allclose(features.mean(axis=1), 0, atol=1e-5)
        np.testing.assert_allclose(features.std(axis=1), 1, atol=1e-2)
