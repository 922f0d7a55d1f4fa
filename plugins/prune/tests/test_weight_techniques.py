"""Pruning of weights and clustering as whole techniques, on noise that is blue or red."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from pupila import InputSpec, PupilaError, installed, keras_files
from pupila.store import Store
from pupila.testing import TechniqueContract, colour_dataset, finish_after_kill
from pupila.testing.tiny import keras_artifact
from pupila_prune import masks
from pupila_prune.config import Clustering, MagnitudePruning, WeightPruning
from pupila_prune.kernels import clustered_kernels, kernels_of, sparsity
from pupila_prune.masks import has_groups

pytestmark = pytest.mark.slow

keras = keras_files.import_keras()
layers = keras.layers

QUICK = {"epochs": 1, "batch_size": 8, "budget": 1, "augmentation": {"views": 1}}
ROUNDS = {"rounds": 2, "sparsity": 0.6}
UNSTRUCTURED = ("prune-magnitude", "prune-obd", "prune-synflow")


def config_of(technique, **changes):
    return installed().step(technique).config.model_validate(QUICK | changes)


def run(step, technique):
    return installed().step(technique).load()(step)


def saved(step):
    return keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)


class _Contract(TechniqueContract):
    @classmethod
    def make_dataset(cls, folder):
        return colour_dataset(folder, images=6)

    @classmethod
    def make_inputs(cls, store, folder):
        return (keras_artifact(store, classes=("blue", "red")),)


class TestPruneMagnitudeKeepsTheContract(_Contract):
    plugin, config = "prune-magnitude", QUICK | ROUNDS


@pytest.mark.long
class TestPruneObdKeepsTheContract(_Contract):
    plugin, config = "prune-obd", QUICK | ROUNDS


@pytest.mark.long
class TestPruneSynflowKeepsTheContract(_Contract):
    plugin, config = "prune-synflow", QUICK | ROUNDS


class TestClusterKeepsTheContract(_Contract):
    plugin, config = "cluster", QUICK


def plain(**head):
    """A small convolutional net."""
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    for filters in (8, 16):
        x = layers.Conv2D(filters, 3, 2, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    settings = {"units": 2, "activation": "softmax", "name": "answer"} | head
    return keras.Model(image, layers.Dense(**settings)(x))


def everything():
    """All kinds of kernels, normalisation and a concatenation, in part in a nested model."""
    keras.utils.set_random_seed(0)
    features = keras.Input((16, 16, 8))
    x = layers.SeparableConv2D(16, 3, padding="same", use_bias=False, name="separable")(features)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    depth = layers.DepthwiseConv2D(3, padding="same", name="depth")
    inner = keras.Model(features, layers.Concatenate()([x, depth(features)]), name="inner")
    image = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = layers.Conv2D(8, 3, 2, padding="same", activation="relu6", name="conv")(x)
    x = layers.Conv2D(16, 3, groups=2, name="grouped")(inner(x))
    x = layers.Conv2DTranspose(12, 2, activation="silu", name="transposed")(x)
    x = layers.Dense(16, activation="relu", name="dense")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(2, activation="softmax", name="answer")(x))


def trained(model, colours, loss="sparse_categorical_crossentropy"):
    """Train a net until it tells the colours apart."""
    train = colours.select("train")
    pixels = np.asarray(train.pixels(InputSpec(height=32, width=32))[:], np.float32)
    model.compile(keras.optimizers.Adam(0.02), loss, jit_compile=False)
    model.fit(pixels, train.labels.astype(np.float32), batch_size=8, epochs=8, verbose=0)
    return model


@pytest.fixture(scope="module")
def artifact(models, colours):
    return models(trained(plain(), colours))


# What comes of it -------------------------------------------------------------------------------


@pytest.mark.parametrize("technique", UNSTRUCTURED)
def test_weights_are_cut_by_the_schedule_and_the_answers_stay(technique, artifact, step_on):
    step = step_on(config_of(technique, sparsity=0.7, rounds=3, epochs=2, budget=0.02), artifact)
    product = run(step, technique)
    measured, model = product.measured, saved(step)
    total = sum(kernel.values.size for kernel in kernels_of(model))
    left = [point["parameters"] for point in measured["curve"]]
    whole = keras_files.parameters(model)
    assert measured["budget_met"] and measured["round"] == 3
    assert left[1:] == pytest.approx(
        [whole - fraction * total for fraction in (0.4926, 0.6741, 0.7)], abs=2
    )
    assert product.sparsity == sparsity(model) == pytest.approx(0.7, abs=0.002)
    assert measured["sparsity"] == pytest.approx(0.7, abs=0.002)
    assert product.parameters == whole and product.macs == keras_files.macs(model)
    assert product.output == artifact.record.output
    files = measured["file_bytes"]
    assert files["cut"]["plain"] == (step.output / keras_files.MODEL_NAME).stat().st_size
    assert files["cut"]["gzip"] < files["uncut"]["gzip"]
    assert "zeros are stored like any other weight" in measured["size_note"]


@pytest.mark.long
@pytest.mark.parametrize("technique", [*UNSTRUCTURED, "cluster"])
def test_all_kinds_of_kernels_stay_cut(technique, models, step_on):
    changes = {"clusters": 8} if technique == "cluster" else ROUNDS | {"rounds": 1}
    step = step_on(config_of(technique, **changes), models(everything()))
    product, model = run(step, technique), saved(step)
    names = [kernel.name for kernel in kernels_of(model)]
    assert sorted(name.split("/")[0] for name in names) == sorted(
        ("conv", "separable", "separable", "depth", "grouped", "transposed", "dense", "answer")
    )
    if technique == "cluster":
        counts = {k.name: len(np.unique(k.values)) for k in clustered_kernels(model)}
        assert product.measured["values_by_kernel"] == counts
        assert max(counts.values()) == 8 and product.sparsity is None
    else:
        assert sparsity(model) == pytest.approx(0.6, abs=0.002)
        assert list(product.measured["sparsity_by_kernel"]) == names


@pytest.mark.long
def test_each_layer_loses_the_same_fraction_unless_all_weights_are_compared(artifact, step_on):
    parts = {}
    for scope in ("layer", "global"):
        step = step_on(config_of("prune-magnitude", scope=scope, **ROUNDS), artifact)
        product = run(step, "prune-magnitude")
        parts[scope] = list(product.measured["sparsity_by_kernel"].values())
        assert product.sparsity == pytest.approx(0.6, abs=0.005)
    assert parts["layer"] == pytest.approx([0.6] * 3, abs=0.02)
    assert np.ptp(parts["global"]) > 0.05


def test_two_of_four_holds_after_training_wherever_it_can(models, step_on):
    step = step_on(config_of("prune-magnitude", pattern="2:4", epochs=2), models(everything()))
    product, model = run(step, "prune-magnitude"), saved(step)
    for kernel in kernels_of(model):
        if has_groups(kernel):
            rows = np.moveaxis(kernel.values, kernel.output_axis, 0).reshape(-1, 4)
            assert ((rows == 0).sum(axis=1) == 2).all()
        else:
            assert (kernel.values != 0).all()
    assert sorted(product.measured["kept_dense"]) == [
        "conv/kernel",
        "depth/kernel",
        "separable/depthwise_kernel",
    ]
    assert len(product.measured["curve"]) == 2
    assert 0.4 < product.sparsity < 0.5


@pytest.mark.long
def test_clustering_keeps_the_zeros_of_a_pruning(artifact, models, step_on):
    pruned = step_on(config_of("prune-magnitude", **ROUNDS), artifact)
    product = run(pruned, "prune-magnitude")
    model = saved(pruned)
    stored = models(model)
    record = stored.record.model_copy(update={"sparsity": product.sparsity})
    step = step_on(config_of("cluster", clusters=4), replace(stored, record=record))
    product = run(step, "cluster")
    after = saved(step)
    assert product.sparsity == sparsity(after) == sparsity(model)
    for old, new in zip(kernels_of(model), kernels_of(after), strict=True):
        assert ((old.values == 0) == (new.values == 0)).all()
        assert len(np.unique(new.values)) <= 4


@pytest.mark.parametrize("kind", ["logits", "sigmoid"])
@pytest.mark.parametrize(
    "technique", [pytest.param("prune-obd", marks=pytest.mark.long), "cluster"]
)
def test_other_answers_than_softmax_are_kept(technique, kind, colours, models, step_on):
    head = {"units": 1} if kind == "sigmoid" else {"activation": None}
    loss = {
        "sigmoid": "binary_crossentropy",
        "logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }[kind]
    head = {"activation": "sigmoid"} | head
    model = models(trained(plain(**head), colours, loss), kind)
    step = step_on(config_of(technique, epochs=2), model)
    product = run(step, technique)
    assert product.output == model.record.output
    assert product.measured["validation_accuracy"] > 0.9


@pytest.mark.parametrize(
    "technique",
    [
        pytest.param(name, marks=() if name == "prune-magnitude" else pytest.mark.long)
        for name in (*UNSTRUCTURED, "cluster")
    ],
)
def test_a_killed_run_continues_to_the_same_bytes(technique, artifact, step_on, tmp_path):
    changes = {} if technique == "cluster" else ROUNDS
    config = config_of(technique, epochs=3, **changes)
    whole = step_on(config, artifact)
    expected = run(whole, technique)
    epoch = 2 if technique == "cluster" else 4

    step = step_on(config, artifact, folder=tmp_path)
    product = finish_after_kill(lambda step: run(step, technique), step, epoch)
    files = (finished.output / keras_files.MODEL_NAME for finished in (whole, step))
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert product == expected


@pytest.mark.long
def test_a_run_killed_between_rounds_ends_with_the_same_bytes(artifact, step_on, monkeypatch):
    config = config_of("prune-magnitude", **ROUNDS)
    whole, killed = (step_on(config, artifact) for _ in range(2))
    run(whole, "prune-magnitude")
    real = masks.sparsity_after

    def sparsity_after(initial, final, number, rounds):
        if number == 2:
            raise KeyboardInterrupt
        return real(initial, final, number, rounds)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("pupila_prune.weights.sparsity_after", sparsity_after)
        run(killed, "prune-magnitude")
    run(killed, "prune-magnitude")
    files = [finished.output / keras_files.MODEL_NAME for finished in (whole, killed)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_budget_that_cannot_be_met_is_reported(artifact, step_on):
    config = config_of("prune-magnitude", sparsity=0.99, rounds=1, budget=0, learning_rate=1e-9)
    measured = run(step_on(config, artifact), "prune-magnitude").measured
    assert measured["budget_met"] is False
    assert measured["warning"] == measured["reason"]
    assert measured["reason"].startswith("Round 1 lost 0.")


# Refusals ---------------------------------------------------------------------------------------


def not_a_number():
    model = plain()
    kernel = model.get_layer("answer").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    return model


def without_kernels():
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, layers.Softmax()(x[:, :2]))


def mostly_zero():
    model = plain()
    for kernel in kernels_of(model):
        fourths = np.arange(kernel.values.size) % 4 == 0
        kernel.variable.assign(kernel.values * fourths.reshape(kernel.values.shape))
    return model


def normalised_by_layer():
    image = keras.Input((32, 32, 3))
    x = layers.LayerNormalization(name="by_layer")(layers.Conv2D(4, 3)(image))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(2, activation="softmax")(x))


@keras.saving.register_keras_serializable("test_weight_techniques")
class Halved(layers.Layer):
    def call(self, x):
        return x / 2


def with_own_layer():
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(Halved(name="mine")(image))
    return keras.Model(image, layers.Dense(2, activation="softmax")(x))


REFUSED = [
    ("prune-magnitude", not_a_number, "layer 'answer' of the model has 32 entries of 'kernel'"),
    ("prune-obd", without_kernels, "has no kernel of a convolution or a dense layer"),
    ("cluster", without_kernels, "has no kernel of a convolution or a dense layer"),
    ("prune-obd", mostly_zero, r"kernels 0\.75 are 0 already, and `sparsity` is 0\.5"),
    ("prune-magnitude", with_own_layer, "layer 'mine' is a Halved"),
    ("prune-synflow", normalised_by_layer, "'by_layer' is a LayerNormalization"),
]


@pytest.mark.parametrize(("technique", "build", "message"), REFUSED)
def test_what_cannot_be_made_smaller_is_refused(technique, build, message, models, step_on):
    changes = {} if technique == "cluster" else {"sparsity": 0.5}
    step = step_on(config_of(technique, **changes), models(build()))
    with pytest.raises(PupilaError, match=message):
        run(step, technique)


def test_images_of_other_classes_are_refused(models, step_on, tmp_path):
    other = keras_artifact(Store(tmp_path / "store"), classes=("cat", "dog"))
    step = step_on(config_of("prune-magnitude"), other)
    with pytest.raises(PupilaError, match=r"classes \['cat', 'dog'\], but the data"):
        run(step, "prune-magnitude")


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (WeightPruning, {"sparsity": 0}, "sparsity"),
        (WeightPruning, {"sparsity": 1}, "sparsity"),
        (WeightPruning, {"rounds": 0}, "rounds"),
        (WeightPruning, {"scope": "layer"}, "scope"),
        (MagnitudePruning, {"scope": "model"}, "scope"),
        (MagnitudePruning, {"pattern": "1:2"}, "pattern"),
        (MagnitudePruning, {"pattern": "2:4", "sparsity": 0.8}, "`sparsity` is 0.8, .* means 0.5"),
        (MagnitudePruning, {"pattern": "2:4", "rounds": 2}, "`rounds` is 2, .* means 1"),
        (MagnitudePruning, {"pattern": "2:4", "scope": "global"}, "`scope` is 'global'"),
        (Clustering, {"clusters": 1}, "clusters"),
        (Clustering, {"clusters": 257}, "clusters"),
        (Clustering, {"rounds": 2}, "rounds"),
    ],
)
def test_invalid_settings_are_refused(config, changes, message):
    with pytest.raises(ValidationError, match=message):
        config.model_validate(changes)


def test_a_pattern_fixes_the_settings_that_it_implies():
    config = MagnitudePruning(pattern="2:4")
    assert (config.sparsity, config.rounds, config.scope) == (0.5, 1, "layer")
    assert MagnitudePruning.model_validate(config.model_dump()) == config
    assert MagnitudePruning().sparsity == 0.8


# A real teacher ---------------------------------------------------------------------------------


@pytest.mark.long
def test_a_real_teacher_is_pruned(models, step_on, shared_teachers):
    teacher = keras.saving.load_model(shared_teachers / "squeezenet.keras", compile=False)
    step = step_on(config_of("prune-magnitude", rounds=1), models(teacher))
    product, model = run(step, "prune-magnitude"), saved(step)
    assert sparsity(model) == pytest.approx(0.8, abs=0.001)
    assert (
        product.measured["file_bytes"]["cut"]["gzip"]
        < 0.4 * (product.measured["file_bytes"]["uncut"]["gzip"])
    )
