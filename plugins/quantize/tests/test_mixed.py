from __future__ import annotations

import numpy as np
import pytest

from pupila import InputSpec, OutputSpec, PupilaError, keras_files
from pupila.artifact import Origin
from pupila.measured import FloatComparison, LayerSensitivities, PluginWarning
from pupila.plugin_registry import installed
from pupila.testing import CLASSES, run_step
from pupila_quantize import comparing
from pupila_quantize.graph import Layer, float_operators, layers
from pupila_quantize.mixed import Sensitivity, choose, sensitivities

LAYERS = [Layer(name, "CONV_2D", f"{name};") for name in ("a", "b", "c")]


def figures(accuracy, divergence=0.0):
    return FloatComparison(
        validation_images=10,
        validation_accuracy=accuracy,
        float_accuracy=0.9,
        agreement=1.0,
        divergence=divergence,
        largest_difference=0.0,
    )


def ranked():
    return [Sensitivity(layer, 0.1, 0.9) for layer in LAYERS]


def test_each_layer_is_measured_alone_and_the_most_sensitive_comes_first():
    asked, divergences = [], {"a;": 0.1, "b;": 0.3, "c;": 0.2}

    def alone(scopes):
        asked.append(list(scopes))
        return figures(0.9, divergences[scopes[0]])

    ranking = sensitivities(LAYERS, alone)
    assert asked == [["a;"], ["b;"], ["c;"]]
    assert [sensitivity.layer.name for sensitivity in ranking] == ["b", "c", "a"]
    assert ranking[0].divergence == pytest.approx(0.3)


def test_a_layer_without_finite_answers_is_the_most_sensitive():
    divergences = {"a;": 0.1, "b;": float("nan"), "c;": 0.3}
    ranking = sensitivities(LAYERS, lambda scopes: figures(0.5, divergences[scopes[0]]))
    assert [sensitivity.layer.name for sensitivity in ranking] == ["b", "c", "a"]
    assert ranking[0].divergence is None


@pytest.mark.parametrize(
    ("accuracies", "budget", "in_float", "within"),
    [
        ((0.9, 0.9, 0.9, 0.9), 0.01, 0, True),
        ((0.7, 0.8, 0.9, 0.9), 0.01, 2, True),
        ((0.7, 0.8, 0.9, 0.9), 0.11, 1, True),
        ((0.7, 0.8, 0.75, 0.8), 0.01, 1, False),
    ],
)
def test_the_fewest_layers_that_meet_the_budget_stay_in_float(accuracies, budget, in_float, within):
    mixture = choose(ranked(), lambda scopes: figures(accuracies[len(scopes)]), budget)
    assert (len(mixture.in_float), mixture.within_budget) == (in_float, within)
    assert mixture.comparison.validation_accuracy == accuracies[in_float]


def of_100_images(in_float, after):
    """Return a comparison of two numbers of correct answers."""
    return figures(after / 100).model_copy(
        update={"validation_images": 100, "float_accuracy": in_float / 100}
    )


@pytest.mark.parametrize(("in_float", "after", "budget"), [(96, 95, 0.01), (97, 95, 0.02)])
def test_a_loss_of_as_many_images_as_the_budget_has_is_within_it(in_float, after, budget):
    assert in_float / 100 - after / 100 > budget  # as floats
    mixture = choose(ranked(), lambda scopes: of_100_images(in_float, after), budget)
    assert (len(mixture.in_float), mixture.within_budget) == (0, True)


@pytest.mark.parametrize(("in_float", "after", "warned"), [(95, 90, True), (95, 91, False)])
def test_a_loss_of_five_images_of_a_hundred_is_a_collapse(in_float, after, warned):
    measured = comparing.add_warning(of_100_images(in_float, after))
    assert (measured.read(PluginWarning) is not None) == warned


@pytest.fixture(scope="module")
def fragile(store, tmp_path_factory):
    """A net with one convolution whose ranges int8 cannot represent.

    Its channels differ by a factor of 10,000, and the small ones carry the answer.
    """
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(3)
    image = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    wide = keras.layers.Conv2D(4, 1, name="wide")
    x = keras.layers.GlobalAveragePooling2D()(wide(x))
    narrow = keras.layers.Dense(len(CLASSES), activation="softmax", name="answer")
    model = keras.Model(image, narrow(x))
    kernel = np.random.default_rng(0).normal(size=(1, 1, 3, 4)).astype(np.float32)
    kernel[..., 2:] *= 1e4
    wide.set_weights([kernel, np.zeros(4, np.float32)])
    answer = np.random.default_rng(1).normal(size=(4, len(CLASSES))).astype(np.float32) * 10
    answer[2:] *= 1e-12
    narrow.set_weights([answer, np.zeros(len(CLASSES), np.float32)])
    with store.draft() as folder:
        keras_files.save(model, folder)
        artifact = store.add(
            folder,
            format="keras",
            input=InputSpec(height=32, width=32),
            output=OutputSpec(kind="softmax", classes=CLASSES),
            origin=Origin(plugin="test", distribution="test", version="0"),
        )
    plugin = installed().step("export-tflite")
    folder = tmp_path_factory.mktemp("fragile")
    return run_step(plugin, plugin.config(), [artifact], folder, store=store).artifact


def test_layers_are_named_as_in_keras(fragile):
    named = layers(fragile.file("model.tflite"))
    assert [layer.operator for layer in named] == ["CONV_2D", "FULLY_CONNECTED"]
    assert "wide" in named[0].name and "answer" in named[1].name


def test_a_layer_that_int8_ruins_stays_in_float(fragile, store, dataset, tmp_path):
    plugin = installed().step("quantize-mixed")
    config = plugin.config.model_validate({"budget": 0, "calibration_images": 24})
    made = run_step(plugin, config, [fragile], tmp_path, store=store, dataset=dataset).artifact
    result = made.record.measured.read(LayerSensitivities)
    compared = made.record.measured.read(FloatComparison)
    assert result and compared
    first, second = (layer.divergence for layer in result.sensitivity[:2])
    assert first is not None and second is not None and first >= second
    assert result.within_budget == (compared.validation_accuracy >= compared.float_accuracy)
    kept = [layer.layer for layer in result.sensitivity if layer.in_float]
    operators = float_operators(made.file("model.tflite"))
    assert sum(operators.get(name, 0) for name in ("CONV_2D", "FULLY_CONNECTED")) == len(kept)


def test_blocks_that_no_dense_layer_can_be_cut_into_are_refused(fragile, store, dataset, tmp_path):
    plugin = installed().step("quantize-int4")
    config = plugin.config.model_validate({"block": 32})
    with pytest.raises(PupilaError, match="number of inputs that 32 divides"):
        run_step(plugin, config, [fragile], tmp_path, store=store, dataset=dataset)


def test_of_many_validation_images_some_of_every_class_are_compared(
    quantized, dataset, monkeypatch
):
    monkeypatch.setattr(comparing, "_MAX_IMAGES", 10)
    measured = quantized("quantize-int8").artifact.record.measured
    assert len(dataset.select("validation")) > measured["validation_images"] == 10
