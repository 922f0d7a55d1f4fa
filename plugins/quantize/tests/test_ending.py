from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from pupila import keras_files
from pupila.litert.flatbuffer import map_model, operators
from pupila.plugin_registry import installed
from pupila.predictions import Predictions, open_model
from pupila.roc import auc
from pupila.testing import ignore_progress, read_images, run_step, store_model
from pupila.ties import tied

CLASSES = ("blue", "red")
IMAGES = 40
"""Of each class in each split."""

FORMS = [
    ("quantize-dynamic", {}),
    ("quantize-int8", {}),
    ("quantize-int8", {"io_type": "int8"}),
    ("quantize-int4", {"correction": "none"}),
    ("quantize-int4", {"correction": "none", "io_type": "int8"}),
    ("quantize-int16x8", {}),
    ("quantize-mixed", {}),
    ("quantize-mixed", {"io_type": "int8"}),
    pytest.param("qat", {"epochs": 1}, marks=pytest.mark.slow),
    pytest.param("qat", {"epochs": 1, "io_type": "int8"}, marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Flat images of different strengths of colour; even the weakest is clearly blue or red."""
    folder = tmp_path_factory.mktemp("colours")
    for split, base in (("train", 80), ("validation", 70), ("test", 60)):
        for name, channel in (("blue", 2), ("red", 0)):
            location = folder / "images" / split / name
            location.mkdir(parents=True)
            for number, strength in enumerate(np.linspace(40, 120, IMAGES)):
                pixels = np.full((32, 32, 3), base, np.uint8)
                pixels[..., channel] += np.uint8(strength)
                Image.fromarray(pixels).save(location / f"{number}.png")
    return read_images(folder / "images", folder / "cache")


def confident(store, kind):
    """Store a net that compares red with blue, and is certain of each answer."""
    keras = keras_files.import_keras()
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(image)
    x = keras.layers.Conv2D(3, 1, name="mix")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(1 if kind == "sigmoid" else 2, name="logits")(x)
    last = {"softmax": keras.layers.Softmax, "sigmoid": lambda name: keras.layers.Activation(kind)}
    model = keras.Model(image, last[kind](name="answer")(x) if kind in last else x)
    slope = 18 * np.array([[-1, 1], [0, 0], [1, -1]])
    weights = -2 * slope[:, :1] if kind == "sigmoid" else slope
    model.set_weights([np.eye(3)[None, None], np.zeros(3), weights, np.zeros(weights.shape[1])])
    return store_model(store, model, CLASSES, kind)


@pytest.fixture
def make(store, colours, tmp_path):
    """Return a function that runs one step on an artifact."""

    def made(name, artifact, **settings):
        plugin = installed().step(name)
        config = plugin.config.model_validate(settings)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        return run_step(plugin, config, [artifact], folder, store=store, dataset=colours).artifact

    return made


@pytest.fixture
def form(make, store):
    """Return a function that quantises a confident net with some kind of output."""

    def made(name, kind="softmax", **settings):
        model = confident(store, kind)
        source = model if name == "qat" else make("export-tflite", model)
        return make(name, source, **settings)

    return made


def probabilities(artifact, images, folder):
    return Predictions(folder / "kept").of(artifact, images, ignore_progress)


def operator_names(artifact):
    model = map_model(artifact.file(".tflite"))
    return [operator.name for operator in operators(model, model.Subgraphs(0))]


@pytest.mark.parametrize(("name", "settings"), FORMS)
def test_images_that_a_confident_model_ranks_are_not_made_equal(
    name, settings, form, colours, tmp_path
):
    test = colours.select("test")
    answers = probabilities(form(name, **settings), test, tmp_path)
    sure = answers.max(axis=1) > 255 / 256
    assert sure.mean() > 0.9
    assert tied(answers) <= 0.05
    area = auc(answers.astype(float), test.labels, 0)
    assert area is not None and area.value == 1


@pytest.mark.parametrize(
    "name", ["quantize-int8", "quantize-int16x8", pytest.param("qat", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(("kind", "last"), [("softmax", "SOFTMAX"), ("sigmoid", "LOGISTIC")])
def test_with_float_io_only_the_last_activation_is_in_float(name, kind, last, form):
    made = form(name, kind)
    assert operator_names(made)[-2:] == ["DEQUANTIZE", last]
    assert made.record.measured["float_operators"] == {last: 1}
    assert made.record.output.kind == kind


@pytest.mark.parametrize("name", ["quantize-int8", pytest.param("qat", marks=pytest.mark.slow)])
def test_with_int8_io_the_file_ends_in_its_logits(name, form):
    made = form(name, io_type="int8")
    (given,) = Interpreter(str(made.file(".tflite"))).get_output_details()
    assert given["dtype"] == np.int8
    assert "SOFTMAX" not in operator_names(made)
    assert made.record.measured["float_operators"] == {}
    assert made.record.output.kind == "logits"
    assert made.record.output.classes == CLASSES


def test_the_signature_gives_what_the_file_ends_in(form):
    for settings in ({}, {"io_type": "int8"}):
        made = form("quantize-int8", **settings)
        interpreter = Interpreter(str(made.file(".tflite")))
        (output,) = interpreter.get_output_details()
        (argument,) = interpreter.get_input_details()
        image = np.zeros((1, 32, 32, 3), argument["dtype"])
        (given,) = interpreter.get_signature_runner()(image=image).values()
        assert np.array_equal(given, interpreter.get_tensor(output["index"]))


def test_logits_and_a_lone_sigmoid_keep_their_kind(form):
    assert form("quantize-int8", "logits").record.output.kind == "logits"
    assert form("quantize-int8", "logits", io_type="int8").record.output.kind == "logits"
    assert form("quantize-int8", "sigmoid", io_type="int8").record.output.kind == "sigmoid"


def test_ties_of_an_int8_sigmoid_are_measured_and_warned_of(form):
    measured = form("quantize-int8", "sigmoid", io_type="int8").record.measured
    assert measured["float_tied"] <= 0.05
    assert measured["tied"] >= 0.25
    assert f"{round(measured['tied'] * 80)} of 80 validation images share" in measured["warning"]


def test_without_ties_there_is_no_warning(form):
    measured = form("quantize-int8").record.measured
    assert measured["tied"] <= 0.05
    assert "warning" not in measured


def test_a_softmax_with_a_factor_of_its_own_is_not_taken_for_a_plain_one(form, make, store):
    # logits of an output spec have no factor
    from pupila_quantize.edge_quantizer import convert_object_to_bytearray, read_model

    source = make("export-tflite", confident(store, "softmax"))
    model: Any = read_model(source.file(".tflite"))
    model.subgraphs[0].operators[-1].builtinOptions.beta = 0.5
    source.file(".tflite").write_bytes(convert_object_to_bytearray(model))
    assert make("quantize-int8", source, io_type="int8").record.output.kind == "softmax"


def test_a_form_can_be_opened_by_its_runner(form, colours):
    made = form("quantize-int8", io_type="int8")
    pixels = np.asarray(colours.select("test").pixels(made.record.input))
    assert open_model(made, 1).predict(pixels[:2], ignore_progress).shape == (2, 2)
