"""The whole technique, on noise that is blue or red."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pupila import InputSpec, OutputSpec, PupilaError, keras_files, predictions
from pupila.artifact import Origin
from pupila.store import Store
from pupila.task import answers_of_outputs
from pupila.testing import StepMaker, colour_dataset, step_for, store_model
from pupila.training import checkpoint
from pupila_prune import rounds
from pupila_prune.config import FilterPruning
from pupila_prune.techniques import prune_filters

pytestmark = pytest.mark.slow

keras = keras_files.import_keras()
layers = keras.layers

INPUT = InputSpec(height=32, width=32)
CLASSES = ("blue", "red")
QUICK = {"rounds": 2, "epochs": 2, "sparsity": 0.5, "batch_size": 8, "augmentation": {"views": 2}}


def net(head, dropout=0.2):
    """A small convolutional net that was frozen, as a backbone of a teacher is, with a head."""
    keras.utils.set_random_seed(0)
    image = keras.Input(INPUT.shape, name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    for number, filters in enumerate((8, 16), 1):
        x = layers.Conv2D(filters, 3, 2, use_bias=False, name=f"conv_{number}")(x)
        x = layers.BatchNormalization(name=f"norm_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
    x = layers.Dropout(dropout, name="dropout")(layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(image, head(x), name="net")


HEADS = {
    "a dense softmax": (
        "softmax",
        lambda x: layers.Dense(2, activation="softmax", name="answer")(x),
    ),
    "a softmax of its own": (
        "softmax",
        lambda x: layers.Softmax(name="probabilities")(layers.Dense(2, name="answer")(x)),
    ),
    "a softmax activation": (
        "softmax",
        lambda x: layers.Activation("softmax")(layers.Dense(2, name="answer")(x)),
    ),
    "logits": ("logits", lambda x: layers.Dense(2, name="answer")(x)),
    "a sigmoid": ("sigmoid", lambda x: layers.Dense(1, activation="sigmoid", name="answer")(x)),
}


def stored(store, model, kind: Any = "softmax", classes=CLASSES):
    return store_model(store, model, classes, kind)


def trained(dataset, head, kind, classes=CLASSES):
    """Train a net until it classifies the colours."""
    model, train = net(head), dataset.select("train")
    pixels = np.asarray(train.pixels(INPUT)[:], np.float32)
    labels = np.array([classes.index(dataset.classes[label]) for label in train.labels])
    loss = {
        "softmax": keras.losses.SparseCategoricalCrossentropy(),
        "logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "sigmoid": keras.losses.BinaryCrossentropy(),
    }[kind]
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.8
    model.compile(keras.optimizers.Adam(0.02), loss, jit_compile=False)
    model.fit(pixels, labels.astype(np.float32), batch_size=8, epochs=8, verbose=0)
    for layer in model.layers:
        layer.trainable = layer.name == "answer"
    return model


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    return colour_dataset(folder)


@pytest.fixture(scope="module")
def artifact(store, dataset):
    kind, head = HEADS["a dense softmax"]
    return stored(store, trained(dataset, head, kind))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return predictions.Predictions(tmp_path_factory.mktemp("predictions"))


@pytest.fixture(scope="module")
def whole(artifact, dataset, kept, tmp_path_factory):
    """Return a finished step, its result, and its progress reports."""
    reports = []

    def listen(done, total, what):
        reports.append((done, total, what))

    step = step_for(
        FilterPruning.model_validate(QUICK),
        [artifact],
        tmp_path_factory.mktemp("whole"),
        dataset=dataset,
        predictions=kept,
        progress=listen,
    )
    return step, prune_filters(step), reports


@pytest.fixture
def pruning(artifact, dataset, kept, tmp_path):
    return StepMaker(FilterPruning, QUICK, [artifact], dataset, tmp_path, kept)


def saved(step):
    return keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)


def accuracy(model, output, images):
    pixels = np.asarray(images.pixels(INPUT)[:], np.float32)
    answers = answers_of_outputs(output, np.asarray(model(pixels)))
    columns = [output.classes.index(name) for name in images.classes]
    return float((answers[:, columns].argmax(axis=1) == images.labels).mean())


SLOW_HEADS = ("a softmax activation", "logits")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW_HEADS)) for name in HEADS],
)
def test_half_the_parameters_are_cut_and_the_answers_stay(name, store, dataset, pruning):
    kind, head = HEADS[name]
    classes = CLASSES[::-1]  # not in the order of the data
    model = stored(store, trained(dataset, head, kind, classes), kind, classes)
    step = pruning(inputs=[model], rounds=1)
    product = prune_filters(step)
    measured, thinner = product.measured, saved(step)
    assert measured["curve"][0]["validation_accuracy"] == 1
    assert measured["budget_met"] and measured["validation_accuracy"] == 1
    assert measured["round"] == 1 and measured["reason"].startswith("Round 1, the last,")
    assert product.parameters == thinner.count_params()
    assert product.parameters <= 0.5 * keras_files.load(model).count_params()
    assert product.output == model.record.output and product.input == INPUT
    assert thinner.output_shape == (None, product.output.columns)
    assert accuracy(thinner, product.output, dataset.select("validation")) == 1


def test_the_curve_has_the_figures_of_each_round(whole, artifact):
    _, product, reports = whole
    curve, total = product.measured["curve"], keras_files.load(artifact).count_params()
    assert curve[0]["parameters"] == total and curve[0]["parameters_removed"] == 0
    for number, point in enumerate(curve):
        assert point["parameters"] <= total * 0.5 ** (number / 2) + 1e-6
        assert point["parameters_removed"] == 1 - point["parameters"] / total
    assert curve[-1]["macs"] == product.macs < curve[0]["macs"]
    assert [len(history["loss"]) for history in product.measured["history"]] == [2, 2]
    epochs = [(done, whole) for done, whole, what in reports if what.startswith("epochs")]
    assert epochs == [(number, 4) for number in range(1, 5)]


@pytest.mark.parametrize(("alpha", "learned"), [(0, "the answers"), (1, "the labels")])
def test_alpha_weighs_labels_against_the_answers_of_the_uncut_model(
    alpha, learned, artifact, store, pruning
):
    mistaken = stored(store, keras_files.load(artifact), classes=CLASSES[::-1])
    step = pruning(inputs=[mistaken], alpha=alpha, budget=1, rounds=1, epochs=10, learning_rate=0.1)
    curve = prune_filters(step).measured["curve"]
    assert curve[0]["validation_accuracy"] == 0
    assert (curve[1]["validation_accuracy"] > 0.5) == (learned == "the labels")


@pytest.mark.long
@pytest.mark.parametrize(
    ("right", "best", "last"),
    [((12, 11, 11), 1, 3), ((12, 11, 12, 11), 3, 4), ((11, 12, 12, 12), 4, 4)],
)
def test_the_smallest_model_within_the_budget_is_kept(right, best, last, pruning, monkeypatch):
    real, given = rounds.Rounds.add, (count / 12 for count in right)

    def add(self, figures, model):
        figures = rounds.Round(**{**vars(figures), "validation_accuracy": next(given)})
        real(self, figures, model)

    monkeypatch.setattr(rounds.Rounds, "add", add)
    product = prune_filters(pruning(rounds=4, epochs=1))
    assert product.measured["round"] == best and product.measured["budget_met"]
    assert len(product.measured["curve"]) == last + 1
    assert product.parameters == product.measured["curve"][best]["parameters"]
    if last > best:
        reason = f"Round {last} lost 0.08333 of accuracy on the validation images, more than the"
        assert product.measured["reason"] == f"{reason} budget of 0.02."


def test_rounds_that_lost_as_many_images_are_equal_despite_float32(tmp_path):
    kept = rounds.Rounds(tmp_path, "key", max_rounds=2, budget=0.01, images=10)
    for accuracy in (1.0, 0.7999999, 0.8):
        kept.curve.append(rounds.Round(10, 0.0, accuracy, 100, {}))
    assert kept.chosen == 1


def colour_net():
    """A net that compares blue with red: without either filter it gives one answer to all."""
    image = keras.Input(INPUT.shape)
    x = layers.Conv2D(2, 1, activation="relu", name="colours")(image)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="answer")(x))
    model.get_layer("colours").kernel.assign([[[[0, 0.1], [0, 0], [0.1, 0]]]])
    model.get_layer("answer").kernel.assign([[1, -1], [-1, 1]])
    return model


@pytest.mark.parametrize("saliency", ["taylor", "magnitude"])
def test_a_budget_that_cannot_be_met_is_reported(saliency, store, pruning):
    model = stored(store, colour_net())
    step = pruning(inputs=[model], sparsity=0.4, learning_rate=1e-9, saliency=saliency, rounds=1)
    product = prune_filters(step)
    assert product.measured["budget_met"] is False
    assert product.measured["warning"] == product.measured["reason"]
    assert product.measured["validation_accuracy"] == 0.5
    assert product.measured["reason"] == (
        "Round 1 lost 0.5 of accuracy on the validation images, more than the budget of 0.02."
    )
    assert product.parameters == 8
    assert saved(step).get_layer("colours").filters == 1


def test_the_minimum_of_each_layer_is_kept(pruning):
    step = pruning(min_fraction_kept=0.5, sparsity=0.9, budget=1, rounds=1)
    product = prune_filters(step)
    assert [saved(step).get_layer(f"conv_{number}").filters for number in (1, 2)] == [4, 8]
    assert product.measured["reason"].startswith("`min_fraction_kept` of 0.5 allows 0.6")


@pytest.mark.long
def test_another_seed_gives_another_model(whole, pruning):
    step = pruning(seed=1)
    prune_filters(step)
    first, second = (saved(finished).get_weights() for finished in (whole[0], step))
    assert any(a.shape != b.shape or (a != b).any() for a, b in zip(first, second, strict=True))


class Killed(Exception):
    pass


@pytest.mark.long
@pytest.mark.parametrize(
    "epoch", [3, *(pytest.param(epoch, marks=pytest.mark.slow) for epoch in (1, 2, 4))]
)
def test_a_killed_run_continues_to_the_same_result(epoch, whole, pruning, monkeypatch):
    finished, expected, _ = whole

    def kill(done, total, what):
        if what.startswith("epochs") and done == epoch:
            raise Killed

    with pytest.raises(Killed):
        prune_filters(pruning("killed", progress=kill))
    epochs = []
    real = checkpoint.Checkpoint.save

    def save(self, model, history, *average):
        epochs.append(len(history.epochs))
        real(self, model, history, *average)

    monkeypatch.setattr(checkpoint.Checkpoint, "save", save)
    step = pruning("killed")
    product = prune_filters(step)
    assert len(epochs) == 4 - epoch
    assert product.measured == expected.measured
    for old, new in zip(saved(finished).get_weights(), saved(step).get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_repeating_a_finished_run_trains_nothing(whole):
    step, product, _ = whole
    reports = []
    again = prune_filters(
        dataclasses.replace(step, progress=lambda *report: reports.append(report))
    )
    assert again == product and reports == []


@pytest.mark.slow
def test_other_settings_start_from_scratch(pruning):
    prune_filters(pruning(sparsity=0.3, rounds=1, epochs=1))
    product = prune_filters(pruning(sparsity=0.5, rounds=1, epochs=1))
    assert product.measured["parameters_removed"] >= 0.5


# Refusals ---------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("test")
class Halved(layers.Layer):
    def call(self, x):
        return x / 2


@keras.saving.register_keras_serializable("test")
class Subclassed(keras.Model):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.pool = layers.GlobalAveragePooling2D()
        self.answer = layers.Dense(2, activation="softmax")

    def call(self, x):
        return self.answer(self.pool(x))


def with_own_layer():
    return net(chain(Halved(name="mine"), layers.Dense(2, activation="softmax")))


def chain(*made):
    def body(x):
        for layer in made:
            x = layer(x)
        return x

    return body


def subclassed():
    model = Subclassed()
    model(np.zeros((1, *INPUT.shape), np.float32))
    return model


def not_a_number():
    model = net(layers.Dense(2, activation="softmax"))
    kernel = model.get_layer("conv_2").kernel
    values = np.array(kernel.value)
    values[0, 0, 0, :3] = np.nan
    kernel.assign(values)
    return model


def without_softmax():
    return net(chain(layers.Dense(2, name="last"), layers.ReLU(name="odd")))


def without_channels():
    image = keras.Input(INPUT.shape)
    x = layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, layers.Dense(2, activation="softmax")(x))


REFUSED = [
    (with_own_layer, {}, "layer 'mine' is a Halved"),
    (subclassed, {}, "The model '.*' is a Subclassed"),
    (not_a_number, {}, "layer 'conv_2' of the model has 3 entries of 'kernel' that are NaN"),
    (without_softmax, {}, "ends in the layer 'odd', a ReLU, where a softmax was declared"),
    (without_channels, {}, "Nothing can be cut from the model .* 0 groups"),
    (
        lambda: net(layers.Dense(2, activation="softmax")),
        {"min_fraction_kept": 1},
        "Nothing can be cut",
    ),
]


def stored_unchecked(store, model):
    """Store a model without reading its size or cost."""
    with store.draft() as folder:
        keras_files.save(model, folder)
        return store.add(
            folder,
            format="keras",
            input=INPUT,
            output=OutputSpec(kind="softmax", classes=CLASSES),
            origin=Origin(plugin="test", distribution="test", version="0"),
        )


@pytest.mark.parametrize(("build", "changes", "message"), REFUSED)
def test_what_cannot_be_pruned_is_refused(build, changes, message, store, pruning):
    with pytest.raises(PupilaError, match=message):
        prune_filters(pruning(inputs=[stored_unchecked(store, build())], **changes))
