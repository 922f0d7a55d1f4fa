from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from pupila import Dataset, PupilaError, ThresholdRule, installed, keras_files, predictions
from pupila.metrics import choose_threshold, threshold_for
from pupila.store import Store
from pupila.testing import TechniqueContract, colour_dataset, ignore_progress, run_step, store_model
from pupila_threshold.config import Operating

SETTINGS = {"positive": "triangle"}


class TestThresholdKeepsTheContract(TechniqueContract):
    plugin = "threshold"
    config = SETTINGS


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    return colour_dataset(folder)


BLUE = np.array([[-8, 8], [0, 0], [8, -8]])
"""Weights of a net that answers "blue" the more, the more blue than red an image is."""

GREEN = np.array([[0, 0], [8, -8], [0, 0]])
"""Weights of a net that reads only green, which does not separate the classes."""


def seeing(store, weights):
    """Store a net that weights the mean colours of an image, one column for each class."""
    keras = keras_files.import_keras()
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(image)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(2, activation="softmax", name="answer")(x)
    model = keras.Model(image, x)
    model.set_weights([weights, np.array([1, 0])])
    return store_model(store, model, ("blue", "red"))


@pytest.fixture(scope="module")
def model(store):
    return seeing(store, BLUE)


@pytest.fixture
def run(store, colours, tmp_path):
    """Return a function that runs the technique on an artifact."""

    def ran(artifact, images=colours, **settings):
        plugin = installed().step("threshold")
        config = Operating.model_validate({"positive": "blue"} | settings)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        return run_step(plugin, config, [artifact], folder, store=store, dataset=images).artifact

    return ran


def probabilities(artifact, images, tmp_path):
    kept = predictions.Predictions(tmp_path / "kept")
    return kept.of(artifact, images, ignore_progress)[:, images.classes.index("blue")]


def test_the_files_are_those_of_the_input_and_the_threshold_is_new(run, model):
    made = run(model)
    assert made.record.files == model.record.files
    assert made.record.format == model.record.format
    assert (made.record.parameters, made.record.macs) == (
        model.record.parameters,
        model.record.macs,
    )
    assert model.record.threshold is None
    assert made.record.threshold.positive == "blue"
    assert made.record.threshold.chosen_on == (
        "12 blue and 12 other validation images, for a sensitivity of 0.95"
    )


@pytest.mark.parametrize("settings", [{}, {"specificity": 0.75}], ids=str)
def test_the_recorded_rule_chooses_the_same_threshold_again(
    run, model, colours, tmp_path, settings
):
    threshold = run(model, **settings).record.threshold
    images = colours.select("validation")
    figure, target = next(iter(settings.items()), ("sensitivity", 0.95))
    assert threshold.rule == ThresholdRule(
        figure=figure,
        target=target,
        split="validation",
        images=images.fingerprint,
        positives=12,
        others=12,
    )
    blue = images.labels == images.classes.index("blue")
    scores = probabilities(model, images, tmp_path).astype(np.float64)
    assert choose_threshold(scores, blue, threshold.rule) == threshold.value


@pytest.mark.parametrize(
    ("figure", "kind"), [("sensitivity", "the positive"), ("specificity", "another")]
)
def test_a_rule_without_the_images_that_it_needs_is_refused(figure, kind):
    rule = ThresholdRule(
        figure=figure, target=0.9, split="validation", images="-", positives=0, others=0
    )
    lacking = np.array([figure == "specificity"] * 3)
    with pytest.raises(PupilaError, match=f"of 3 validation images none is of {kind} class"):
        choose_threshold(np.array([0.1, 0.2, 0.3]), lacking, rule)


@pytest.mark.parametrize(
    ("settings", "detected", "rejected"),
    [
        ({"sensitivity": 1}, 12, 0),
        ({"sensitivity": 0.75}, 9, 0),
        ({"specificity": 0.75}, 0, 9),
        ({"specificity": 0.5}, 0, 6),
    ],
    ids=str,
)
def test_the_figure_that_was_asked_for_is_reached(
    run, store, colours, tmp_path, settings, detected, rejected
):
    model = seeing(store, GREEN)
    made = run(model, **settings)
    images = colours.select("validation")
    called = probabilities(made, images, tmp_path) >= made.record.threshold.value
    blue = images.labels == images.classes.index("blue")
    if "sensitivity" in settings:
        assert called[blue].sum() == detected
    else:
        assert (~called[~blue]).sum() == rejected


def test_sensitivity_and_specificity_are_measured_on_the_validation_images(run, model):
    measured = run(model).record.measured
    assert measured["sensitivity"]["value"] == 1
    assert measured["specificity"]["value"] == 1
    assert measured["chosen_on"] == "validation"


def test_the_threshold_of_separated_classes_is_in_the_middle(run, model, colours, tmp_path):
    images = colours.select("validation")
    scores = probabilities(model, images, tmp_path)
    blue = images.labels == images.classes.index("blue")
    middle = (scores[blue].min() + scores[~blue].max()) / 2
    for settings in ({"sensitivity": 1}, {"specificity": 1}):
        assert run(model, **settings).record.threshold.value == pytest.approx(middle)


def test_another_format_keeps_its_format_and_files(run, store, model, tmp_path):
    plugin = installed().step("export-tflite")
    exported = run_step(plugin, plugin.config(), [model], tmp_path / "x", store=store).artifact
    made = run(exported)
    assert made.format == exported.format
    assert made.record.files == exported.record.files
    assert made.record.threshold.value == pytest.approx(run(model).record.threshold.value, abs=0.01)


def test_a_model_that_outputs_logits_gets_a_threshold_of_probabilities(
    run, store, colours, model, tmp_path
):
    made = model
    for name, settings in (("export-tflite", {}), ("quantize-int8", {"io_type": "int8"})):
        plugin = installed().step(name)
        config = plugin.config.model_validate(settings)
        folder = tmp_path / name
        made = run_step(plugin, config, [made], folder, store=store, dataset=colours).artifact
    assert made.record.output.kind == "logits"
    shipped = run(made)
    assert shipped.record.threshold.value == pytest.approx(
        run(model).record.threshold.value, abs=0.02
    )
    images = colours.select("validation")
    called = probabilities(shipped, images, tmp_path) >= shipped.record.threshold.value
    assert called.tolist() == (images.labels == images.classes.index("blue")).tolist()


def test_the_shipped_file_stays_the_same(run, model):
    shipped = replace(
        model, record=model.record.model_copy(update={"shipped": keras_files.MODEL_NAME})
    )
    assert run(shipped).record.shipped == keras_files.MODEL_NAME


@pytest.mark.parametrize("absent", ["blue", "red"])
def test_a_class_without_validation_images_is_refused(run, model, colours, absent):
    frame = colours.frame
    gone = (frame["label"] == absent) & (frame["split"] == "validation")
    images = Dataset.of(frame[~gone], colours.classes, colours.cache)
    with pytest.raises(PupilaError, match=r"of 12 validation images (0|12) are 'blue'"):
        run(model, images)


def test_an_unknown_class_is_refused_with_the_nearest(run, model):
    with pytest.raises(
        PupilaError, match=r"'bleu', which is not one of .*\['blue', 'red'\].*mean 'blue'"
    ):
        run(model, positive="bleu")


@pytest.mark.parametrize("gain", [0.2, 1000])
def test_a_specificity_at_which_nothing_is_detected_is_refused(run, store, gain):
    reversed_model = seeing(store, -gain * BLUE)
    with pytest.raises(PupilaError, match=r"specificity of 1\.0 none of the 12 .*'blue' is found"):
        run(reversed_model, specificity=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sensitivity": 0.9, "specificity": 0.9}, "leave one out"),
        ({"sensitivity": 0}, "greater than 0"),
        ({"specificity": 1.1}, "less than or equal to 1"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        Operating.model_validate({"positive": "blue"} | settings)


@pytest.mark.parametrize(
    ("sensitivity", "threshold"),
    [(1, 0.45), (0.99, 0.45), (0.75, 0.65), (0.5, 0.75), (0.25, 0.85)],
)
def test_a_threshold_lies_between_the_scores_that_it_separates(sensitivity, threshold):
    scores = np.array([0.5, 0.7, 0.8, 0.9, 0.1, 0.4, 0.6])
    is_positive = np.array([True] * 4 + [False] * 3)
    assert threshold_for(scores, is_positive, sensitivity) == pytest.approx(threshold)


def test_without_lower_scores_a_threshold_is_the_lowest_positive_score():
    assert threshold_for(np.array([0.3, 0.2]), np.array([True, True]), 1) == 0.2


def test_a_sensitivity_of_zero_is_refused():
    with pytest.raises(PupilaError, match=r"Sensitivity 0 cannot be had"):
        threshold_for(np.array([0.3]), np.array([True]), 0)


def test_the_choice_depends_on_every_runner_that_may_predict():
    used = Operating(positive="blue").uses()
    assert {"keras", "tflite"} <= {runner.format for runner in used} <= technique().accepts
    assert all(runner.primary for runner in used)


def technique():
    return installed().step("threshold")
