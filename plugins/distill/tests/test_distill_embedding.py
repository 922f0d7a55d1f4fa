"""`distill-embedding` on noise of two colours, from teachers whose features hold more than that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from pupila import PupilaError, keras_files
from pupila.testing import TechniqueContract, colour_dataset, finish_after_kill, store_model
from pupila.training.targets import softened_mean
from pupila_distill import embedding
from pupila_distill.config import Distillation, EmbeddingDistillation
from pupila_distill.embedding import distill_embedding
from pupila_distill.techniques import distill

keras = keras_files.import_keras()
layers = keras.layers

QUICK = {
    "student": "conv-32-64-8",
    "size": 32,
    "epochs": 3,
    "batch_size": 8,
    "augmentation": {"views": 2},
    "subclasses": 2,
}
RELATIONS = {"distance_weight": 25, "angle_weight": 50}


def seeing_teacher(store, seed=0, classes=("blue", "red")):
    """Store a net that tells red from blue by the first two of its features, of eight."""
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    x = layers.Conv2D(8, 5, 4, activation="relu", name="see")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="answer")(x))
    random = np.random.default_rng(seed)
    kernel = random.normal(size=(5, 5, 3, 8)) / 5
    kernel[..., :2] = np.array([[-1, 1], [0, 0], [1, -1]]) / 25
    answer = np.zeros((8, 2))
    answer[:2] = [[80, -80], [-80, 80]]
    model.get_layer("see").set_weights([kernel, np.array([0.2] * 2 + [0.0] * 6)])
    model.get_layer("answer").set_weights([answer, np.zeros(2)])
    return store_model(store, model, classes)


@pytest.fixture(scope="module")
def seeing(store):
    return seeing_teacher(store)


@pytest.fixture
def taught(distilling, seeing):
    """Return a function that makes steps of `distill-embedding` with changed settings."""

    def step(folder="step", inputs=None, config=EmbeddingDistillation, **changes):
        settings = {"subclasses": 2} if config is EmbeddingDistillation else {}
        return distilling(folder, inputs or [seeing], config=config, **(settings | changes))

    return step


class TestEmbeddingKeepsTheContract(TechniqueContract):
    plugin = "distill-embedding"
    config = QUICK | RELATIONS | {"epochs": 2}

    @classmethod
    def make_dataset(cls, folder):
        return colour_dataset(folder)

    @classmethod
    def make_inputs(cls, store, folder):
        return (seeing_teacher(store), seeing_teacher(store, 1, ("blue", "red")))


def model_of(step):
    return keras.saving.load_model(step.output / keras_files.MODEL_NAME, compile=False)


def difference(first, second):
    pairs = zip(model_of(first).get_weights(), model_of(second).get_weights(), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


NOTHING = {"subclass_weight": 0, "distance_weight": 0, "angle_weight": 0}


def test_without_any_weight_it_is_plain_distillation(taught):
    step, plain = taught(**NOTHING), taught("plain", config=Distillation)
    measured, expected = distill_embedding(step).measured, distill(plain).measured
    assert measured["history"] == expected["history"]
    assert difference(step, plain) == 0


def test_the_written_model_has_the_layers_of_plain_distillation_and_other_weights(taught):
    step, plain = taught(**RELATIONS), taught("plain", config=Distillation)
    product = distill_embedding(step)
    assert product.parameters == distill(plain).parameters
    assert difference(step, plain) > 1e-3
    history = product.measured["history"]
    assert history["loss"][-1] < history["loss"][0]


def test_the_features_of_the_teacher_are_reported(taught):
    measured = distill_embedding(taught(epochs=1)).measured
    assert measured["teacher_features"] == [8]
    ((blue, red),) = measured["subclass_variance"]
    assert 0 < blue < 1
    assert 0 < red < 1
    assert measured["teachers"][0]["validation_accuracy"]["value"] == 1


@pytest.fixture
def embedding_targets(monkeypatch):
    """Return the targets of `distill-embedding` for a step, without training."""

    def targets(step):
        seen = []
        with monkeypatch.context() as patched:
            patched.setattr(embedding, "train_student", lambda _, targets: seen.append(targets))
            distill_embedding(step)
        return seen[0]

    return targets


def test_each_view_is_trained_with_the_features_of_that_view(
    taught, seeing, dataset, with_unlabelled, embedding_targets
):
    step = taught(
        images=with_unlabelled(dataset), **RELATIONS, augmentation={"views": 2, "mixup": 1}
    )
    targets = embedding_targets(step)
    images = targets.images
    assert len(images) == 48
    assert (images.labels < 0).sum() == 24, "of the unlabelled the teacher tells too"
    rows = np.array([40, 3])
    teacher = keras_files.load(seeing)
    features = keras.Model(teacher.inputs[0], teacher.get_layer("pool").output)
    answering = keras.Model(teacher.inputs[0], teacher.outputs[0])
    pixels, names = images.pixels(seeing.record.input), images.frame["sha256"].tolist()
    for view, of_view in enumerate(targets.views):
        shown = step.config.augmentation.render(pixels, names, rows, view).astype(np.float32)
        answers = softened_mean([np.asarray(answering(shown))], [1.0], step.config.temperature)
        columns = of_view[rows]
        assert of_view.shape == (48, 2 + 2 + 4 + 8)
        assert columns[:, 2:4] == pytest.approx(answers, abs=1e-3)
        assert columns[:, 4:8].reshape(2, 2, 2).sum(axis=2) == pytest.approx(np.ones((2, 2)))
        assert columns[:, 8:] == pytest.approx(np.asarray(features(shown)), abs=1e-5)


def test_images_of_a_source_have_the_weight_of_the_settings(taught, dataset, embedding_targets):
    images = replace(dataset, frame=dataset.frame.assign(source="here"))
    images.frame.loc[::2, "source"] = "there"
    targets = embedding_targets(taught(images=images, source_weights={"there": 3}))
    plain = embedding_targets(taught(images=images))
    outputs = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
    part = np.where(targets.images.frame["source"] == "there", 3, 1)
    expected = part / part.mean() * np.asarray(plain.loss(plain.views[1][:], outputs))
    assert np.asarray(targets.loss(targets.views[1][:], outputs)) == pytest.approx(expected)


def test_several_teachers_have_columns_side_by_side(taught, store, seeing, embedding_targets):
    inputs = [seeing, seeing_teacher(store, 1)]
    step = taught(inputs=inputs, weights=[3, 1], **RELATIONS)
    targets = embedding_targets(step)
    assert targets.views[0].shape == (24, 2 + 2 + 2 * 4 + 2 * 8)
    assert distill_embedding(step).measured["teacher_features"] == [8, 8]


@pytest.mark.long
@pytest.mark.parametrize(
    "student",
    [
        "conv-32-64-8",
        pytest.param({"from": "teacher", "until": "see", "head": 4}, marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(taught, student):
    unbroken, broken = (
        taught(name, student=student, epochs=4, **RELATIONS) for name in ("unbroken", "broken")
    )
    expected = distill_embedding(unbroken).measured
    measured = finish_after_kill(distill_embedding, broken).measured
    assert measured["history"] == expected["history"]
    assert difference(unbroken, broken) < 1e-6


def test_the_features_are_computed_once_for_all_runs(taught, monkeypatch):
    opened = []
    real = embedding._open

    def counting(model):
        opened.append(model)
        return real(model)

    monkeypatch.setattr(embedding, "_open", counting)
    distill_embedding(taught("first", epochs=1))
    distill_embedding(taught("second", epochs=1, subclasses=3, **RELATIONS, temperature=2))
    assert len(opened) == 1


def test_a_student_whose_last_layer_gives_no_logits_is_refused(taught, monkeypatch):
    def normalised(step):
        image = keras.Input((32, 32, 3))
        x = layers.Dense(len(step.images.classes))(layers.GlobalAveragePooling2D()(image))
        return keras.Model(image, layers.BatchNormalization(name="norm")(x), name="odd")

    monkeypatch.setattr("pupila_distill.training.new_student", normalised)
    with pytest.raises(PupilaError, match=r"The model 'odd' ends in 'norm' .* use `distill`"):
        distill_embedding(taught())


def test_more_subclasses_than_the_teacher_tells_apart_are_refused(taught):
    with pytest.raises(
        PupilaError, match="`subclasses` is 9, but the 12 labelled images of 'blue'"
    ):
        distill_embedding(taught(subclasses=9))


@pytest.mark.parametrize(
    "changes", [{"subclasses": 1}, {"subclass_temperature": 0}, {"angle_weight": -1}]
)
def test_senseless_settings_are_refused_before_anything_runs(changes):
    with pytest.raises(ValidationError, match="greater than"):
        EmbeddingDistillation.model_validate(QUICK | changes)
