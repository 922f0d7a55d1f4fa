"""Students that begin as their teacher does, in every kind of distillation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from pupila import PupilaError, keras_files
from pupila.testing import (
    TechniqueContract,
    colour_dataset,
    finish_after_kill,
    ignore_progress,
    store_model,
)
from pupila.training import frozen
from pupila.training.beginning import frozen_trunk
from pupila_distill.attention import distill_attention
from pupila_distill.config import (
    AttentionDistillation,
    Beginning,
    ConsistentDistillation,
    Distillation,
    EmbeddingDistillation,
    EvolutionaryDistillation,
    FineTuning,
    OracleDistillation,
    Training,
)
from pupila_distill.embedding import distill_embedding
from pupila_distill.new_student import new_student
from pupila_distill.techniques import distill, distill_oracle

keras = keras_files.import_keras()
layers = keras.layers

BEGINNING = {"from": "teacher", "until": "norm", "head": 4, "frozen": 0}
QUICK = {
    "student": BEGINNING,
    "epochs": 3,
    "batch_size": 8,
    "augmentation": {"views": 2},
}


def convolutional_teacher(store, slope=1.0, gain=1.0):
    """Store a net that tells red from blue pictures behind a convolution of one gain."""
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    x = layers.Conv2D(3, 1, use_bias=False, name="conv", trainable=False)(x)
    x = layers.BatchNormalization(name="norm", epsilon=1e-9)(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(2, activation="softmax", name="answer")(x)
    model = keras.Model(image, x)
    model.get_layer("conv").set_weights([gain * np.eye(3).reshape(1, 1, 3, 3)])
    kernel = np.array([[-8, 8], [0, 0], [8, -8]]) * slope / gain
    model.get_layer("answer").set_weights([kernel, np.zeros(2)])
    return store_model(store, model, ("blue", "red"))


@pytest.fixture(scope="module")
def convolutional(store):
    return convolutional_teacher(store)


class TestDistillFromABeginningKeepsTheContract(TechniqueContract):
    plugin = "distill"
    config = QUICK

    @classmethod
    def make_dataset(cls, folder):
        return colour_dataset(folder)

    @classmethod
    def make_inputs(cls, store, folder):
        return (convolutional_teacher(store),)


@pytest.mark.parametrize(
    ("technique", "kind"),
    [
        (distill, Distillation),
        (distill, ConsistentDistillation),
        (distill_oracle, OracleDistillation),
        (distill_attention, AttentionDistillation),
        (distill_embedding, EmbeddingDistillation),
    ],
)
def test_every_kind_trains_the_beginning_of_its_teacher(distilling, convolutional, technique, kind):
    few = {"subclasses": 2} if kind is EmbeddingDistillation else {}
    step = distilling(
        inputs=[convolutional], config=kind, student=BEGINNING, size=None, epochs=2, **few
    )
    product = technique(step)
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    theirs = keras_files.load(convolutional).get_layer("norm").get_weights()
    for ours, kept in zip(model.get_layer("norm").get_weights(), theirs, strict=True):
        np.testing.assert_array_equal(ours, kept)
    assert (model.get_layer("conv").get_weights()[0] != np.eye(3).reshape(1, 1, 3, 3)).any()
    assert product.input == convolutional.record.input
    assert product.measured["history"]["loss"][0] > 0


def test_a_killed_run_goes_on_from_its_checkpoint(distilling, convolutional):
    settings = {"inputs": [convolutional], "student": BEGINNING, "epochs": 4}
    unbroken, broken = (distilling(name, **settings) for name in ("unbroken", "broken"))
    expected = distill(unbroken).measured
    measured = finish_after_kill(distill, broken).measured
    assert measured["history"] == expected["history"]


@pytest.mark.parametrize(
    "killed", [pytest.param(1, marks=pytest.mark.long), 2, pytest.param(3, marks=pytest.mark.long)]
)
def test_the_layers_are_trained_after_the_epochs_of_the_head(distilling, convolutional, killed):
    """A run that is killed after any epoch goes on as if it had not been."""
    settings = {"inputs": [convolutional], "student": BEGINNING | {"frozen_epochs": 2}, "epochs": 4}
    unbroken, broken = (distilling(name, **settings) for name in ("unbroken", "broken"))
    expected = distill(unbroken).measured
    measured = finish_after_kill(distill, broken, epoch=killed).measured
    assert measured["history"] == expected["history"]
    assert measured["epochs"] == len(measured["history"]["loss"]) == 4
    for step in (unbroken, broken):
        of_head, learned = (
            [
                array
                for array in np.load(step.scratch / name).values()
                if array.shape == (1, 1, 3, 3)
            ]
            for name in ("head.npz", "training.npz")
        )
        assert not of_head, "the layers are not among what is trained"
        assert (learned[0][0, 0] != np.eye(3)).any()
    kept = [
        keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False).get_weights()
        for step in (unbroken, broken)
    ]
    for ours, theirs in zip(*kept, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_best_epoch_of_both_parts_is_kept(distilling, convolutional):
    """The first part ends with a small rate; the second, of one epoch, with the highest."""
    spoilt = {"student": BEGINNING | {"frozen_epochs": 4}, "epochs": 5, "learning_rate": 0.5}
    step = distilling(inputs=[convolutional], alpha=0, temperature=1, **spoilt)
    measured = distill(step).measured
    losses = measured["history"]["validation_loss"]
    assert measured["best_epoch"] == 1 + losses.index(min(losses)) < 5
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    np.testing.assert_array_equal(model.get_layer("conv").get_weights()[0][0, 0], np.eye(3))
    validation = step.split("validation")
    answers = np.asarray(model(validation.pixels(convolutional.record.input)[:].astype("float32")))
    theirs = step.predictions.of(convolutional, validation, ignore_progress)
    loss = (theirs * np.log(theirs / answers)).sum(axis=1).mean()
    assert loss == pytest.approx(min(losses), rel=0.01, abs=1e-4)


@pytest.mark.parametrize("head", [0, 4])
def test_only_the_head_is_trainable_in_the_context(distilling, convolutional, head):
    student = new_student(distilling(inputs=[convolutional], student=BEGINNING | {"head": head}))
    before = [layer.trainable for layer in student.layers]
    assert not student.get_layer("norm").trainable
    with frozen_trunk(student, 3 if head else 1):
        learned = {variable.path.split("/")[0] for variable in student.trainable_variables}
        assert learned == ({"head", "head_norm", "logits"} if head else {"logits"})
    assert [layer.trainable for layer in student.layers] == before


FROZEN = BEGINNING | {"frozen_until": "norm"}


@pytest.mark.long
@pytest.mark.parametrize("kept_bytes", [frozen._KEPT_BYTES, 0])
def test_a_frozen_front_that_runs_once_gives_the_same_student(
    distilling, convolutional, monkeypatch, kept_bytes
):
    """The same as training the whole model with its frozen layers."""
    settings = {"inputs": [convolutional], "student": FROZEN, "epochs": 4}
    with monkeypatch.context() as whole:
        whole.setattr(frozen, "split_model", lambda model: None)
        expected = distill(distilling("whole", **settings)).measured["history"]
    monkeypatch.setattr(frozen, "_KEPT_BYTES", kept_bytes)
    step = distilling("apart", **settings)
    history = distill(step).measured["history"]
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4)
    kept = [file.parent.name for file in step.scratch.rglob("view-*.npy")]
    assert sorted(kept) == (["train", "train", "validation"] if kept_bytes else [])
    model = keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)
    np.testing.assert_array_equal(model.get_layer("conv").get_weights()[0][0, 0], np.eye(3))


def test_a_killed_run_with_a_frozen_front_goes_on(distilling, convolutional):
    settings = {"inputs": [convolutional], "student": FROZEN, "epochs": 4}
    unbroken, broken = (distilling(name, **settings) for name in ("unbroken", "broken"))
    expected = distill(unbroken).measured
    measured = finish_after_kill(distill, broken).measured
    assert measured["history"] == expected["history"]


@pytest.mark.parametrize(
    ("student", "front"),
    [
        (FROZEN, ["scale", "conv", "norm"]),
        (BEGINNING | {"frozen_until": "conv", "normalisation": "learned"}, ["scale", "conv"]),
        (BEGINNING | {"frozen": 0.5}, ["scale", "conv", "norm"]),
        (BEGINNING | {"frozen": 0.4}, None),
        (BEGINNING | {"frozen_until": "scale"}, None),
        (BEGINNING, None),
    ],
)
def test_a_front_ends_where_something_learns(distilling, convolutional, student, front):
    parts = frozen.split_model(new_student(distilling(inputs=[convolutional], student=student)))
    assert (parts and [layer.name for layer in parts[0].layers[1:]]) == front


def test_a_beginning_reads_the_size_that_is_asked_for(distilling, convolutional):
    step = distilling(inputs=[convolutional], student=BEGINNING, size=48)
    assert new_student(step).input_shape == (None, 48, 48, 3)


def test_of_several_teachers_the_best_on_validation_gives_the_beginning(
    distilling, store, convolutional
):
    """The other is as often right, but less sure."""
    unsure = convolutional_teacher(store, slope=0.05, gain=2.0)
    for inputs in ([unsure, convolutional], [convolutional, unsure]):
        student = new_student(distilling(inputs=inputs, student=BEGINNING))
        np.testing.assert_array_equal(student.get_layer("conv").get_weights()[0][0, 0], np.eye(3))


def test_a_teacher_whose_layers_cannot_be_read_gives_no_beginning(distilling, convolutional):
    record = convolutional.record.model_copy(update={"format": "savedmodel"})
    closed = replace(convolutional, record=record)
    with pytest.raises(PupilaError, match="`from` has only savedmodel, whose layers cannot be"):
        new_student(distilling(inputs=[closed], student=BEGINNING))
    best = new_student(distilling(inputs=[closed, convolutional], student=BEGINNING))
    assert best.get_layer("conv")


@pytest.mark.parametrize(
    ("changes", "rate"),
    [({}, 1e-3), ({"learning_rate": 2e-3}, 2e-3), ({"student": "mobile-xs"}, 6e-3)],
)
def test_weights_that_are_worth_keeping_have_a_lower_learning_rate(changes, rate):
    assert Distillation.model_validate(QUICK | changes).learning_rate == rate


def test_the_default_student_is_the_beginning_of_the_teacher():
    config = Distillation()
    assert (
        config.student == Beginning.model_validate({"from": "teacher"})
        and config.learning_rate == 1e-3
    )
    assert (config.alpha, config.temperature, config.augmentation.mixup) == (0, 2, 1)
    assert Distillation(alpha=0.5, student="mobile-xs").temperature == 4
    assert Distillation(alpha=0.5).alpha == 0.5
    assert Training().student == "mobile-xs"


@pytest.mark.parametrize(
    ("student", "said"),
    [
        ({"from": "techer"}, "Input should be 'teacher'"),
        ({"from": "teacher", "until": "norm", "share": 0.1}, "until and share each say how long"),
        ({"from": "teacher", "share": 1.5}, "less than or equal to 1"),
        ({"from": "teacher", "max_bytes": "three"}, "could not parse value and unit"),
        ({"from": "teacher", "head": -1}, "greater than or equal to 0"),
        ({"from": "teacher", "frozen_epochs": 3}, "is 3, but there are 3 `epochs`: give more"),
    ],
)
def test_a_wrong_beginning_is_refused_before_anything_runs(student, said):
    with pytest.raises(ValidationError, match=said):
        Distillation.model_validate(QUICK | {"student": student})


@pytest.mark.parametrize("kind", [Training, EvolutionaryDistillation])
def test_without_a_teacher_there_is_no_beginning(kind):
    config = kind.model_validate({"student": BEGINNING})
    with pytest.raises(PupilaError, match="this step has no teacher"):
        config.check_inputs(0)


@pytest.mark.parametrize("size", [{"max_bytes": "4 kB"}, {"until": "norm"}])
def test_a_size_chooses_the_cut(distilling, convolutional, size):
    step = distilling(inputs=[convolutional], student={"from": "teacher", "head": 1} | size)
    assert "norm" in [layer.name for layer in new_student(step).layers]


def test_a_model_is_fine_tuned_at_any_size_but_distilled_to_a_small_one(distilling, store):
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(128, 3, strides=2, name="small")(image)
    x = layers.Conv2D(512, 3, strides=2, name="large")(x)
    output = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    teacher = store_model(store, keras.Model(image, output), ("blue", "red"))
    student = {"from": "teacher", "head": 4}

    def last_layer(kind, **more):
        step = distilling(inputs=[teacher], config=kind, student=student | more)
        names = {layer.name for layer in new_student(step).layers}
        return "large" if "large" in names else "small" if "small" in names else None

    assert last_layer(Distillation) == "small"
    assert last_layer(FineTuning) == "large"
    assert last_layer(FineTuning, max_bytes=500_000) == "small"


def test_a_size_that_no_beginning_fits_is_refused(distilling, convolutional):
    step = distilling(inputs=[convolutional], student={"from": "teacher", "share": 0.1})
    with pytest.raises(PupilaError, match="The smallest beginning of the teacher"):
        new_student(step)
