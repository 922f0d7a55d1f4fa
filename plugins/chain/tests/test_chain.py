"""A chain of real models, on photographs with a disc, crops and other images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from pupila import PupilaError, installed
from pupila.artifact import Artifact, Threshold
from pupila.cropping import crop, square_around
from pupila.evaluator import evaluate, measure
from pupila.external import evaluate_external
from pupila.images import decode, resize
from pupila.plugin import GivenModel
from pupila.predictions import Predictions, open_model
from pupila.runtime import Fate, ignore_progress
from pupila.shift_suite import Suite, evaluate_shift
from pupila.store import Store, read_artifact
from pupila.task import methods_of
from pupila.testing import (
    TechniqueContract,
    colour_teacher,
    disc_locator,
    draw_colours,
    read_images,
    run_step,
)
from pupila_chain import files
from pupila_chain.config import Chain
from pupila_chain.runner import open_chain

SIZE = 128  # of the chain in conftest


class TestChain(TechniqueContract):
    plugin = "chain"
    config: ClassVar[Mapping[str, Any]] = {"size": 96}

    @classmethod
    def make_dataset(cls, folder):
        return read_images(draw_colours(folder / "images", images=4), folder / "cache")

    @classmethod
    def make_inputs(cls, store, folder):
        return disc_locator(store), colour_teacher(store)


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    return Predictions(tmp_path_factory.mktemp("predictions"))


@pytest.fixture(scope="module")
def test_images(images):
    return images.select("test")


def _kinds(images):
    return np.array(images.frame["kind"].tolist())


def _answers(artifact, images, predictions):
    return predictions.of(artifact, images, ignore_progress)


def _evaluated(artifact, images, predictions, **settings):
    return evaluate(
        artifact,
        images,
        positive="red",
        specificity=0.85,
        predictions=predictions,
        progress=ignore_progress,
        latency_repeats=2,
        **settings,
    )


def test_a_chain_answers_as_the_classifier_on_the_crop_around_what_the_locator_found(
    chain, models, test_images, predictions
):
    _, locator, classifier = models
    kinds, answers = _kinds(test_images), _answers(chain, test_images, predictions)
    for row in np.flatnonzero(kinds == "disc").tolist():
        picture = resize(decode(test_images.paths[row]), chain.record.input)
        height, width = _content(test_images, row)
        photograph = picture[:height, :width]
        x, y, half_width, half_height, presence = _located(locator, photograph)
        assert presence > 0.5
        square = square_around(
            (width, height), (x * width, y * height), (half_width * width, half_height * height)
        )
        own = _asked(classifier, crop(photograph, square, classifier.record.input))
        assert np.allclose(answers[row], own, atol=1e-6)


def _content(images, row):
    """Return height and width of an image as the chain gets it."""
    width, height = images.frame["width"][row], images.frame["height"][row]
    shrink = min(1, 128 / width)
    return round(height * shrink), round(width * shrink)


def _located(locator, photograph):
    with closing(open_model(locator)) as model:
        picture = resize(Image.fromarray(photograph), locator.record.input)
        raw = model.predict(picture[np.newaxis], ignore_progress)
    return methods_of("localization").answers(locator.record.output, raw)[0].tolist()


def _asked(classifier, picture):
    with closing(open_model(classifier)) as model:
        return model.predict(picture[np.newaxis], ignore_progress)[0]


def test_a_chain_tells_what_the_classifier_alone_cannot_see(
    chain, classifier, test_images, predictions
):
    discs = _kinds(test_images) == "disc"
    behind = _answers(chain, test_images, predictions)[discs]
    alone = _answers(classifier, test_images, predictions)[discs]
    truths = test_images.labels[discs]
    assert (behind.argmax(axis=1) == truths).all()
    margin = np.abs(behind[:, 0] - behind[:, 1]).mean()
    assert margin > 2 * np.abs(alone[:, 0] - alone[:, 1]).mean()


def test_a_crop_goes_to_the_classifier_as_it_is(chain, classifier, test_images, predictions):
    crops = _kinds(test_images) == "crop"
    behind = _answers(chain, test_images, predictions)[crops]
    assert np.allclose(behind, _answers(classifier, test_images, predictions)[crops], atol=1e-6)


def test_without_a_class_of_crops_a_crop_is_turned_away(
    make_chain, models, test_images, predictions
):
    chain = make_chain(models, photograph="photograph")
    away = ~(_kinds(test_images) == "disc")
    assert (_answers(chain, test_images, predictions)[away] == 0.5).all()


def test_what_is_turned_away_gets_the_same_probability_for_every_class(
    chain, test_images, predictions
):
    kinds = _kinds(test_images)
    away = (kinds == "bare") | (kinds == "other")
    answers = _answers(chain, test_images, predictions)
    assert (answers[away] == 0.5).all()
    assert (answers[~away] != 0.5).all()


def test_the_evaluation_says_what_each_stage_turned_away(chain, images, predictions):
    stages = _evaluated(chain, images, predictions).stages
    assert [stage.name for stage in stages] == ["filter", "locator", "classifier"]
    counts = [(stage.images, stage.turned_away, stage.recognised) for stage in stages]
    assert counts == [(12, 2, 2), (8, 2, 0), (8, 0, 0)]


def test_the_locators_error_is_measured_where_the_data_has_positions(chain, images, predictions):
    filtered, located, classified = _evaluated(chain, images, predictions).stages
    assert filtered.metrics is None
    assert classified.metrics is None
    assert located.metrics is not None
    assert located.metrics.images == 6
    assert located.metrics.accuracy.value == 1.0
    assert located.metrics.figures


def test_without_positions_the_locator_has_no_metrics(chain, images, predictions):
    bare = images.of_frame(images.frame.drop(columns=["x"]))
    assert _evaluated(chain, bare, predictions).stages[1].metrics is None


def test_a_wrong_position_is_refused_with_its_file(chain, images, predictions):
    wrong = images.frame.assign(x=images.frame["x"].replace("", "left"))
    with pytest.raises(PupilaError, match=r"\.png has"):
        _evaluated(chain, images.of_frame(wrong), predictions)


def test_an_external_evaluation_says_it_too(chain, test_images, predictions):
    result = evaluate_external(
        chain,
        test_images,
        positive="red",
        specificity=0.85,
        predictions=predictions,
        progress=ignore_progress,
    )
    assert [stage.turned_away for stage in result.stages] == [2, 2, 0]


def test_a_model_that_is_no_chain_has_no_stages(classifier, images, predictions):
    assert _evaluated(classifier, images, predictions).stages == ()


def test_a_chain_without_a_filter_locates_every_image(make_chain, models, test_images, predictions):
    chain = make_chain(models[1:])
    with closing(open_chain(chain, 1)) as model:
        pixels = test_images.pixels(chain.record.input)
        trace = model.trace(pixels[:], ignore_progress)
    kinds = _kinds(test_images)
    assert (trace[kinds == "bare", 0] == Fate.TURNED_AWAY).all()
    assert (trace[kinds == "disc", 0] == Fate.PASSED).all()
    assert trace.shape == (12, 1 + 5 + 1)


def test_the_filters_threshold_decides(make_chain, models, store, test_images, predictions):
    threshold = Threshold(positive="crop", value=0.0, chosen_on="none")
    lenient = _with_threshold(store, models[0], threshold)
    chain = make_chain((lenient, *models[1:]), photograph="photograph", crop="crop")
    small = np.asarray(test_images.frame["width"]) <= SIZE  # larger ones are reduced first
    assert small.any()
    answers, alone = (_answers(model, test_images, predictions) for model in (chain, models[2]))
    assert np.allclose(answers[small], alone[small], atol=1e-6)


def _with_threshold(store: Store, model: Artifact, threshold: Threshold) -> Artifact:
    fields = {
        name: getattr(model.record, name)
        for name in type(model.record).model_fields
        if name not in ("files", "threshold")
    }
    with store.draft() as folder:
        for file in model.files:
            (folder / file.name).write_bytes(file.read_bytes())
        return store.add(folder, **fields, threshold=threshold)


def test_a_chain_is_agreed_with_on_altered_images_by_the_chain_of_other_models(
    chain, make_chain, models, store, images, predictions
):
    other = make_chain(
        (*models[:2], colour_teacher(store, slope=2.0)), photograph="photograph", crop="crop"
    )
    result = evaluate_shift(
        chain,
        images,
        ("reference", other),
        suite=Suite(families=("gamma", "rotation"), images=12),
        positive="red",
        predictions=predictions,
        progress=ignore_progress,
    )
    assert result.value.value > 0.8


def test_a_chain_is_measured_as_one_model(chain, models, test_images):
    cost = measure(chain, test_images, latency_repeats=3).cost
    files_of_stages = sum(model.size_bytes for model in models)
    json_bytes = (chain.path / files.NAME).stat().st_size
    assert cost.size_bytes == files_of_stages + json_bytes
    assert cost.parameters == sum(model.record.parameters for model in models)
    assert cost.macs == sum(model.record.macs for model in models)
    assert cost.latency.repeats == 3
    assert cost.latency.median_ms > 0
    assert cost.peak_memory_bytes


@pytest.mark.slow
def test_stages_may_have_several_formats(make_chain, models, store, tmp_path, images, predictions):
    exporter = installed().step("export-tflite")
    exported = [
        run_step(exporter, exporter.config(), [model], tmp_path / str(number), store=store).artifact
        for number, model in enumerate(models[1:])
    ]
    settings = {"photograph": "photograph", "crop": "crop"}
    mixed, plain = (make_chain((models[0], *rest), **settings) for rest in (exported, models[1:]))
    with closing(open_model(mixed)) as model:
        assert "Keras" in model.runtime
        assert "LiteRT" in model.runtime
    test = images.select("test")
    ours, theirs = (_answers(artifact, test, predictions) for artifact in (mixed, plain))
    assert np.allclose(ours, theirs, atol=0.02)


def test_chain_json_holds_all_that_another_program_needs(chain):
    content = json.loads((chain.path / "chain.json").read_text())
    assert content["input"] == {"height": 128, "width": 128, "fit": "surround"}
    assert [stage["name"] for stage in content["stages"]] == ["filter", "locator", "classifier"]
    assert content["routes"] == {"photograph": "locator", "crop": "classifier"}
    assert (content["margin"], content["present_from"]) == (1.75, 0.5)
    for stage in content["stages"]:
        for name in stage["record"]["files"]:
            assert (chain.path / "stages" / stage["name"] / name).is_file()


def test_a_chain_whose_file_was_changed_is_refused(chain, tmp_path):
    changed = _copied(chain, tmp_path, lambda text: text.replace('"margin": 1.75', '"margin": 9'))
    with pytest.raises(PupilaError):
        read_artifact(changed.path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[:-9], "is damaged"),
        (lambda text: text.replace('"name": "filter"', '"name": "locator"'), "has the stages"),
        (lambda text: text.replace('"disc"', '"disc", "cup"'), "finds 2 things"),
        (lambda text: text.replace('"localization"', '"spots"'), "whose task is localization"),
        (lambda text: text.replace("model.keras", "../../model.keras"), "is not among"),
    ],
)
def test_a_wrong_chain_json_is_one_sentence(chain, tmp_path, change, said):
    wrong = _copied(chain, tmp_path, change)
    assert (wrong.path / files.NAME).read_text() != (chain.path / files.NAME).read_text()
    with pytest.raises(PupilaError, match=said):
        installed().check(wrong)


def _copied(chain, folder, change):
    for name in chain.contents:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((chain.path / name).read_bytes())
    path = folder / files.NAME
    path.write_text(change(path.read_text()))
    return Artifact(folder, chain.digest, chain.record)


_LOCATOR = GivenModel("find", "tflite", "localization", ("disc",), (192, 256))
_CLASSIFIER = GivenModel("tell", "tflite", "classification", ("a", "b"), (224, 224))
_FILTER = GivenModel("sort", "tflite", "classification", ("fundus", "other"), (160, 160))
_CHAIN = GivenModel("joined", "chain", "classification", ("a", "b"), (1024, 1024))
_WIDE = GivenModel("wide", "tflite", "classification", ("a", "b"), (224, 2048))


@pytest.mark.parametrize(
    ("settings", "given", "said"),
    [
        ({}, (_CLASSIFIER, _LOCATOR), "'tell' comes where the locator"),
        ({}, (_CLASSIFIER, _CLASSIFIER), "'tell' comes where the locator"),
        ({}, (_LOCATOR, _LOCATOR), "'find' comes where the classifier"),
        ({"photograph": "a"}, (_LOCATOR, _LOCATOR, _CLASSIFIER), "'find' comes where the filter"),
        (
            {"photograph": "eye"},
            (_FILTER, _LOCATOR, _CLASSIFIER),
            "`photograph` of the filter 'sort' is",
        ),
        (
            {"photograph": "fundus", "crop": "disc"},
            (_FILTER, _LOCATOR, _CLASSIFIER),
            "`crop` of the filter 'sort' is 'disc'",
        ),
        ({}, (_LOCATOR, _WIDE), "reads 2048 × 224 pixels, more than the chain's 1024"),
        ({"size": 128}, (_LOCATOR, _CLASSIFIER), "give a `size` of at least 256"),
        ({}, (_LOCATOR, _CHAIN), "'joined' is a chain already"),
    ],
)
def test_models_that_do_not_fit_are_refused(settings, given, said):
    with pytest.raises(PupilaError, match=said):
        Chain(**settings).check_models(given)


def test_what_is_not_known_before_a_run_is_not_refused():
    Chain(photograph="eye").check_models(
        [GivenModel("sort"), GivenModel("find"), GivenModel("tell")]
    )


@pytest.mark.parametrize(
    ("settings", "count", "said"),
    [
        ({}, 3, "`photograph` is missing"),
        ({"photograph": "eye"}, 2, "`photograph` is 'eye', a class of a filter"),
        ({"crop": "eye"}, 2, "`crop` is 'eye', a class of a filter"),
        ({"photograph": "eye", "crop": "eye"}, 3, "are both 'eye'"),
    ],
)
def test_settings_that_do_not_fit_the_inputs_are_refused(settings, count, said):
    with pytest.raises(PupilaError, match=said):
        Chain(**settings).check_inputs(count)


@pytest.mark.parametrize("wrong", [{"margin": 0.1}, {"margin": float("nan")}, {"size": 8192}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        Chain(**wrong)


def test_a_locator_in_the_place_of_the_classifier_is_refused_when_it_is_joined(
    make_chain, locator, classifier
):
    with pytest.raises(PupilaError, match="comes where the locator"):
        make_chain((classifier, locator))


@pytest.mark.parametrize(("names", "warned"), [("fltr locator net", False), ("locator net", True)])
def test_a_chain_without_a_filter_warns_before_a_run(names: str, warned: bool):
    warnings = [*Chain().warnings([GivenModel(name) for name in names.split()])]
    assert [text.startswith("The chain has no filter") for text in warnings] == [True] * warned
