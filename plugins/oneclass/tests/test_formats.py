"""A model made by `one-class` can be exported, quantised and distilled like any other."""

from __future__ import annotations

import numpy as np
import pytest

from pupila import Dataset, OutputSpec, installed, keras_files
from pupila.artifact import Origin
from pupila.keras_graphs import flatten
from pupila.manifest import read, scan
from pupila.predictions import Predictions
from pupila.store import Store
from pupila.testing import ignore_progress, run_step

keras = keras_files.import_keras()

QUICK = {"positive": "blue", "epochs": 10, "batch_size": 8, "hidden": 16, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def run(store, colours, tmp_path_factory):
    """Return a function that runs one step of a recipe."""

    def ran(name, inputs, images=colours, **settings):
        plugin = installed().step(name)
        config = plugin.config.model_validate(settings)
        folder = tmp_path_factory.mktemp("step")
        return run_step(plugin, config, inputs, folder, store=store, dataset=images).artifact

    return ran


@pytest.fixture(scope="module")
def made(run, teacher):
    return run("one-class", [teacher], **QUICK)


def answers(artifact, images, folder):
    return Predictions(folder / "predictions").of(artifact, images, ignore_progress)


def test_it_is_a_model_of_keras_own_layers(made):
    model = keras_files.load(made)
    flatten(model)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    assert made.record.parameters == model.count_params()
    assert made.record.macs == keras_files.macs(model)


def test_as_a_flatbuffer_it_answers_alike(made, run, colours, tmp_path):
    exported = run("export-tflite", [made])
    test = colours.select("test")
    before, after = (answers(artifact, test, tmp_path) for artifact in (made, exported))
    assert np.ptp(before, axis=0).max() > 0.1
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_in_eight_bits_it_answers_much_alike(made, run, colours, tmp_path):
    quantised = run("quantize-int8", [run("export-tflite", [made])])
    test = colours.select("test")
    before, after = (answers(artifact, test, tmp_path) for artifact in (made, quantised))
    assert np.abs(after - before).mean() < 0.1


def test_a_student_learns_from_it(made, run):
    quick = {"student": "conv-32-64-8", "size": 32, "epochs": 2, "alpha": 0}
    student = run("distill", [made], **quick)
    assert student.record.measured["teachers"][0]["digest"] == made.digest[:12]


# Real teachers ----------------------------------------------------------------------------------

_OF_EACH = 8


def some_of(shared_data, cache):
    """Return a few images of each class and source, of each split."""
    listed = read(shared_data / "fundus_or_not.csv")
    groups = listed.groupby(["label", "split", "source"], observed=True)
    frame = scan(groups.head(_OF_EACH).reset_index(drop=True), cache, ignore_progress)
    return Dataset.of(frame, ("fundus", "not_fundus"), cache)


def imported(source, folder):
    loader, store = installed().loader(source), Store(folder)
    output = OutputSpec(kind="softmax", classes=("glaucoma", "normal"))
    with store.draft() as draft:
        result = loader.load()(source, output, draft)
        origin = Origin(plugin=loader.name, distribution="test", version="0")
        return store.add(draft, origin=origin, **vars(result))


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("squeezenet.keras", 512),
        ("efficientnet_lite0.keras", 1280),
        ("xception_nested.keras", 2048),
        ("vgg16_nested.h5", 512),
    ],
)
def test_a_real_teacher_tells_fundus_photographs_that_it_never_saw_from_other_things(
    name, columns, run, shared_teachers, shared_data, tmp_path
):
    images = some_of(shared_data, tmp_path / "cache")
    settings = {
        "positive": "fundus",
        "augmentation": {"views": 1},
        "epochs": 60,
        "target_sensitivity": 0.9,
    }
    made = run("one-class", [imported(shared_teachers / name, tmp_path)], images, **settings)
    measured = made.record.measured
    assert (measured["images"], measured["features"]) == (2 * _OF_EACH, columns)
    quality = measured["on_validation"]["one-class CNN"]
    assert quality["accepted"]["value"] >= 0.9
    assert quality["auc"]["value"] > 0.9
    tested = images.select("test")
    fundus = answers(made, tested, tmp_path)[:, 0]
    assert np.median(fundus[tested.labels == 0]) > 0.5 > np.median(fundus[tested.labels == 1])
