"""The technique `one-class-distance`, and the early features that it measures distances of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from pupila import keras_files
from pupila.testing import StepMaker, TechniqueContract, disc_dataset, disc_locator
from pupila_oneclass.config import OneClassDistance
from pupila_oneclass.distance import one_class_distance
from pupila_oneclass.extractor import build_early_extractor


class TestOneClassDistanceKeepsTheContract(TechniqueContract):
    plugin = "one-class-distance"
    config: ClassVar[Mapping[str, Any]] = {"positive": "square"}


@pytest.fixture
def step_on(teacher, colours, tmp_path):
    return StepMaker(OneClassDistance, {"positive": "blue"}, [teacher], colours, tmp_path)


def accepted(step, images):
    """Return the answers of the saved model to images, for the class that was learned."""
    keras = keras_files.import_keras()
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    column = images.classes.index("blue")
    pixels = images.pixels(step.inputs[0].record.input)
    return model.predict(np.asarray(pixels, np.float32), verbose=0)[:, column]


def test_one_class_is_let_through_and_the_other_turned_away(step_on, colours):
    step = step_on(target_sensitivity=0.8)
    product = one_class_distance(step)
    blue = (validation := colours.select("validation")).labels == 0
    known = accepted(step, validation)[blue]
    assert (known >= 0.5).sum() == 10
    middle = np.median(np.log(known / (1 - known)))
    assert middle == pytest.approx(np.log(0.8 / 0.2), abs=0.01)
    tested = colours.select("test")
    assert (accepted(step, tested)[tested.labels == 1] < 0.5).all()
    assert product.measured["validation_accepted"]["value"] == pytest.approx(10 / 12)
    assert product.threshold is not None and product.threshold.positive == "blue"


@pytest.mark.parametrize("kind", ["heat-map", "coordinates"])
def test_the_images_of_a_locator_are_learned_without_their_labels(store, tmp_path, kind):
    images = disc_dataset(tmp_path / "discs", images=12)
    inputs = [disc_locator(store, kind=kind)]
    step = StepMaker(OneClassDistance, {"positive": None}, inputs, images, tmp_path)()
    product = one_class_distance(step)
    assert (product.output.task, product.output.classes) == ("classification", ("known", "other"))
    assert product.measured["images"] == 12
    assert product.measured["features"] == 4, "those of the map before the heat map"


@pytest.mark.parametrize(
    ("strides", "columns"), [((2, 2, 2, 2), 5 + 6), ((2, 2), 5), ((1, 1), 5), ((8, 2), 4)]
)
def test_features_are_of_maps_between_a_quarter_and_an_eighth_of_the_image(strides, columns):
    keras = keras_files.import_keras()
    image = output = keras.Input((64, 64, 3))
    for number, stride in enumerate(strides):
        output = keras.layers.Conv2D(4 + number, 3, stride, padding="same")(output)
    pooled = keras.layers.GlobalAveragePooling2D()(output)
    model = keras.Model(image, keras.layers.Dense(2)(pooled))
    assert build_early_extractor(model, 2).output_shape == (None, columns)
