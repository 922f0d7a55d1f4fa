"""Targets, losses and students of localization."""

from __future__ import annotations

import numpy as np
import pytest

from pupila import InputSpec, OutputSpec, PupilaError, installed, keras_files
from pupila.keras_files import import_keras
from pupila.plugin import import_object
from pupila.testing import (
    DISC,
    StepMaker,
    disc_dataset,
    disc_locator,
    ignore_progress,
    step_for,
    store_locator,
)
from pupila.training.task import training_of
from pupila.views import Augmentation
from pupila_localization import losses
from pupila_localization.decoding import decode, grid
from pupila_localization.located import Located
from pupila_localization.task import Localization
from pupila_localization.training import LocalizationTraining

keras = import_keras()
TASK = Localization()
NAMES = (DISC,)
MOVING = Augmentation(views=6, flip_vertical=True, rotation_degrees=40, shift=0.2, crop=0.5)
LABEL = [0.5, 0.4, 0.1, 0.15, 1, 1, 0.75]


def tensor(rows):
    return keras.ops.convert_to_tensor(np.array(rows), "float32")


def noise(images=3, channels=3, rows=6, columns=8, scale=4.0):
    return np.random.default_rng(0).normal(0, scale, (images, rows, columns, channels))


# Labels ----------------------------------------------------------------------------------------


def test_labels_move_with_the_pictures(dataset):
    """The middle of the bright pixels of a view is where its label says."""
    images = dataset.select("train")
    training, digests = training_of(images), images.frame["sha256"].tolist()
    pixels = np.stack(
        [images.image(row, InputSpec(height=96, width=144)) for row in range(len(images))]
    )
    seen = 0
    for view, labels in enumerate(training.labels_of_views(images, MOVING)):
        pictures = MOVING.render(pixels, digests, np.arange(len(images)), view)
        for picture, label in zip(pictures, labels, strict=True):
            x, y, half_width, half_height, presence, weight, _ = label
            margins = (x - half_width, y - half_height, 1 - x - half_width, 1 - y - half_height)
            if not weight or min(margins) < 0.03:
                continue
            near = window(picture.mean(axis=-1) > 150, label)
            rows, columns = np.nonzero(near)
            assert presence == 1
            assert abs((columns.mean() + 0.5) / 144 - x) < 0.015
            assert abs((rows.mean() + 0.5) / 96 - y) < 0.02
            assert np.ptp(columns) / 2 / 144 == pytest.approx(half_width, rel=0.2)
            assert np.ptp(rows) / 2 / 96 == pytest.approx(half_height, rel=0.2)
            seen += 1
    assert seen > 25


def window(bright, label):
    """Leave out what is bright elsewhere: the disc's mirror image beyond an edge."""
    y, x = np.mgrid[: bright.shape[0], : bright.shape[1]]
    x, y = (x + 0.5) / bright.shape[1], (y + 0.5) / bright.shape[0]
    near = (abs(x - label[0]) < label[2] * 1.3) & (abs(y - label[1]) < label[3] * 1.3)
    return bright & near


def test_a_position_that_leaves_the_picture_has_no_weight(dataset):
    images = dataset.select("train")
    far = Augmentation(views=20, shift=0.29, zoom=0.4, crop=0.2)
    labels = np.concatenate(training_of(images).labels_of_views(images, far))
    assert 0 < (labels[:, 5] == 0).mean() < 0.8
    assert np.isfinite(labels).all()
    inside = labels[labels[:, 5] == 1]
    assert ((inside[:, :2] >= 0) & (inside[:, :2] <= 1)).all()


def test_labels_say_what_is_there_what_is_not_and_what_is_unknown(tmp_path):
    images = disc_dataset(tmp_path, images=3, absent=1, splits=("train", "unlabelled"))
    training = training_of(images)
    labels = training.labels(images)
    assert labels.shape == (6, training.label_columns)
    assert sorted(map(tuple, labels[:, 4:6].tolist())) == [(0, 1), *[(0.5, 0)] * 3, *[(1, 1)] * 2]
    assert (labels[:, 6] == np.float32(64 / 96)).all()
    assert training.head(keras.Input((4, 4, 2)), 0, str).shape[-1] == 4
    without = training_of(images.select("unlabelled"))
    assert without.head(keras.Input((4, 4, 2)), 0, str).shape[-1] == 3


@pytest.mark.parametrize("technique", ["labels_of_views", "teach"])
def test_mixtures_are_refused(dataset, locator, tmp_path, technique):
    mixed = {"augmentation": {"mixup": 1}}
    config = installed().step("distill").config.model_validate(mixed)
    step = step_for(config, [locator], tmp_path, dataset=dataset)
    training, images = training_of(dataset), dataset.select("train")
    with pytest.raises(PupilaError, match="`mixup` is 1, but in a mixture of two pictures"):
        if technique == "teach":
            training.teach(step, images, images, weights=[1], temperature=1)
        training.labels_of_views(images, step.config.augmentation)


# Losses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [3, 4])
@pytest.mark.parametrize("names", [NAMES, ("disc", "fovea")])
def test_students_are_decoded_in_training_as_they_are_later(parts, names):
    outputs = noise(channels=parts * len(names)).astype(np.float32)
    size = outputs.shape[1:]
    output = OutputSpec(task="localization", kind="heat-map", classes=names, size=size)
    answers = decode(output, outputs.reshape(len(outputs), -1)).reshape(3, len(names), 5)
    located = Located.of(tensor(outputs), len(names))
    np.testing.assert_allclose(located.centre, answers[..., :2], rtol=1e-5)
    np.testing.assert_allclose(located.half, answers[..., 2:4], rtol=1e-4)
    if parts == 4:
        presence = keras.ops.sigmoid(located.presence)
        np.testing.assert_allclose(presence, answers[..., 4], rtol=1e-4)


@pytest.mark.parametrize("parts", [4, 5])
def test_coordinates_are_decoded_in_training_as_they_are_later(parts):
    outputs = np.random.default_rng(0).uniform(0.01, 0.99, (3, 2 * parts)).astype(np.float32)
    names = ("disc", "fovea")
    output = OutputSpec(
        task="localization", kind="coordinates", classes=names, size=outputs.shape[1:]
    )
    answers = decode(output, outputs).reshape(3, 2, 5)
    located = Located.of(tensor(outputs), 2)
    np.testing.assert_allclose(located.centre, answers[..., :2], rtol=1e-5)
    np.testing.assert_allclose(located.half, answers[..., 2:4], rtol=1e-5)
    assert (located.presence is None) == (parts == 4)
    if parts == 5:
        presence = keras.ops.sigmoid(located.presence)
        np.testing.assert_allclose(presence, answers[..., 4], rtol=1e-4)


def test_coordinates_learn_from_labels_and_from_their_own_answers():
    loss = losses.distillation_loss(1, 0.5, 2, None)
    right, wrong = ([[0.3, 0.7, 0.05, 0.08]], [[0.4, 0.7, 0.05, 0.08]])
    targets = tensor([[0.3, 0.7, 0.05, 0.08, 1, 1, 0.75, 0.3, 0.7, 0.05, 0.08, 1]])
    at_right, at_wrong = (float(loss(targets, tensor(answer))[0]) for answer in (right, wrong))
    assert at_right == pytest.approx(0, abs=1e-3)
    assert at_wrong == pytest.approx(3 * 0.1, abs=1e-3)
    metric = losses.right_metric(1)
    assert [float(metric(targets, tensor(x))[0]) for x in (right, wrong)] == [1, 0]


def descend(loss, targets, channels, steps=150):
    """Minimise a loss over free heat maps, and return what they then say."""
    heat = keras.Variable(noise(images=len(targets), channels=channels, scale=0.1), dtype="float32")
    optimizer = keras.optimizers.Adam(0.3)
    tf = keras_files.import_tensorflow()

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            value = keras.ops.mean(loss(targets, heat.value))
        optimizer.apply_gradients([(tape.gradient(value, heat.value), heat)])
        return value

    values = [float(step()) for _ in range(steps)]
    assert np.isfinite(values).all()
    assert values[-1] < values[0]
    return np.asarray(heat), values[-1]


def answers_of(heat):
    output = OutputSpec(
        task="localization", kind="heat-map", classes=NAMES, size=tuple(heat.shape[1:])
    )
    return decode(output, heat.reshape(len(heat), -1))


def test_the_label_loss_is_least_at_the_label():
    heat, _ = descend(losses.label_loss(1), tensor([LABEL]), 3)
    np.testing.assert_allclose(answers_of(heat)[0, :4], LABEL[:4], atol=0.01)
    assert (losses.right_metric(1)(tensor([LABEL]), tensor(heat)).numpy() == 1).all()


def test_what_is_absent_ends_nowhere():
    labels = [LABEL, [0.5] * 4 + [0, 1, 0.75]]
    heat, _ = descend(losses.label_loss(1), tensor(labels), 4)
    presence = answers_of(heat)[:, 4]
    assert presence[0] > 0.9 > 0.1 > presence[1]
    assert losses.right_metric(1)(tensor(labels), tensor(heat)).numpy().tolist() == [1, 1]
    assert losses.right_metric(1)(tensor(labels[::-1]), tensor(heat)).numpy().tolist() == [0, 0]


def test_without_a_weight_a_label_teaches_nothing():
    unknown = tensor([[*LABEL[:5], 0, 0.75]])
    assert float(losses.label_loss(1)(unknown, tensor(noise(1)))[0]) == 0
    assert float(losses.right_metric(1)(unknown, tensor(noise(1)))[0]) == 1


def taught(weight, answer, heat=None):
    label = [[*LABEL[:5], weight, 0.75, *answer]]
    return tensor(label if heat is None else [label[0] + heat.ravel().tolist()])


def test_a_teacher_alone_teaches_an_unlabelled_image():
    answer = [0.3, 0.7, 0.05, 0.08, 1]
    loss = losses.distillation_loss(1, alpha=0.9, temperature=2, teachers_map=None)
    heat, _ = descend(loss, taught(0, answer), 3)
    np.testing.assert_allclose(answers_of(heat)[0, :4], answer[:4], atol=0.01)
    assert float(losses.right_metric(1)(taught(0, answer), tensor(heat))[0]) == 1


def test_with_alpha_one_only_the_label_counts():
    loss = losses.distillation_loss(1, alpha=1, temperature=2, teachers_map=None)
    outputs, targets = tensor(noise(1)), taught(1, [0.3, 0.7, 0.05, 0.08, 1])
    np.testing.assert_allclose(loss(targets, outputs), losses.label_loss(1)(targets, outputs))


@pytest.mark.parametrize(("size", "temperature"), [((6, 8), 1), ((12, 16), 3), ((3, 4), 2)])
def test_a_student_takes_over_the_softened_heat_map(size, temperature):
    points = grid(*size)
    heat = -40 * ((points - [0.4, 0.6]) ** 2).sum(axis=1)
    logits = temperature * keras.ops.log_softmax(tensor(heat) / temperature)
    p = np.asarray(keras.ops.softmax(tensor(heat)))
    answer = [*(p @ points), 0.05, 0.08, 1]
    loss = losses.distillation_loss(1, 0, temperature, size)
    targets = taught(1, answer, np.asarray(logits))
    made, left = descend(loss, targets, 3)
    assert left < 0.05
    np.testing.assert_allclose(answers_of(made)[0, :2], answer[:2], atol=0.02)
    shape = losses.resample(keras.ops.softmax(tensor(heat)[None, None] / temperature), size, (6, 8))
    ours = keras.ops.softmax(tensor(made[..., 0]).numpy().reshape(1, 1, -1) / temperature)
    assert float(keras.ops.sum(abs(ours - shape))) < 0.1


# Students --------------------------------------------------------------------------------------


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("width", [0, 16])
def test_a_head_has_the_kernels_that_it_declares(absent, width):
    training = LocalizationTraining(NAMES, absent)
    features = keras.Input((6, 8, 12))
    model = keras.Model(features, training.head(features, width, str))
    kernels = [np.asarray(w) for w in model.weights if len(w.shape) == 4]
    assert [k.size for k in kernels] == [size for size, _ in training.head_kernels(12, width)]
    assert sum(bool(layer.weights) for layer in model.layers) == training.head_layers(width)
    same, output = training.finish(model)
    assert same is model
    assert output.size == (6, 8, 4 if absent else 3)
    assert (output.task, output.kind) == ("localization", "heat-map")
    answers = answers_of(np.asarray(model(np.zeros((2, 6, 8, 12), np.float32))))
    np.testing.assert_allclose(answers[:, 2:4], 0.05, atol=1e-3)
    np.testing.assert_allclose(answers[:, :2], 0.5, atol=1e-6)


QUICK = {
    "student": "conv-32-64-8",
    "size": [32, 48],
    "epochs": 2,
    "batch_size": 6,
    "augmentation": {"views": 2},
}


@pytest.fixture
def distilling(locator, dataset, tmp_path):
    config = installed().step("distill").config
    return StepMaker(config, QUICK, [locator], dataset, tmp_path)


def targets_of(step):
    images, validation = step.split("train"), step.split("validation")
    return training_of(images).teach(step, images, validation, weights=[1.0], temperature=2)


def test_the_teacher_answers_the_pictures_of_the_views(distilling, dataset):
    step = distilling(augmentation={"views": 3, "rotation_degrees": 30})
    training, images = training_of(dataset), step.split("train")
    made = targets_of(step)
    for labels, view in zip(
        training.labels_of_views(images, step.config.augmentation), made.views, strict=True
    ):
        assert view.shape == (len(images), 5 + 6 * 9)
        off = np.abs(labels[:, :2] - np.asarray(view)[:, :2])[labels[:, 5] == 1]
        assert np.median(off) < 0.05
    assert made.validation.shape == (12, 5 + 6 * 9)
    ((quality,),) = [made.measured["teachers"]]
    assert quality["validation_accuracy"]["value"] > 0.9


def test_several_teachers_give_their_weighted_mean_at_the_size_of_the_largest_map(
    distilling, store, dataset
):
    small = disc_locator(store, height=32, width=48, slope=20.0)
    points = disc_locator(store, kind="coordinates")
    both = distilling(inputs=[small, distilling.inputs[0], points])
    validation = dataset.select("validation")
    training = training_of(dataset)
    mean = training.teach(
        both, both.split("train"), validation, weights=[1, 2, 1], temperature=2
    ).validation
    assert mean.shape == (12, 5 + 6 * 9)
    answers = [both.predictions.of(one, validation, ignore_progress) for one in both.inputs]
    np.testing.assert_allclose(
        mean[:, :5], (answers[0] + 2 * answers[1] + answers[2]) / 4, rtol=1e-5
    )
    p = np.exp(mean[:, 5:] / 2)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-4)
    alone = training.teach(
        distilling(inputs=[points]), validation, validation, weights=[1], temperature=2
    )
    assert alone.validation.shape == (12, 5)


def test_a_teacher_that_finds_nothing_is_refused(distilling, store):
    image = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    corner = keras.layers.Dense(4, kernel_initializer="zeros", name="corner")(pooled)
    blind = store_locator(store, keras.Model(image, corner), "coordinates")
    with pytest.raises(PupilaError, match="is right about none of 12 validation images"):
        targets_of(distilling(inputs=[blind]))


def test_the_views_of_an_image_have_no_mean_answer(distilling):
    step = distilling()
    images = step.split("train")
    with pytest.raises(PupilaError, match="`mean_over_views` is true, but the views"):
        training_of(images).teach(
            step, images, images, weights=[1], temperature=1, mean_over_views=True
        )


@pytest.mark.parametrize(
    ("student", "map_size"),
    [
        *(("mobile-xs", (8, 12, 3)), ("mobile-s", (8, 12, 3)), ("hybrid-s", (8, 12, 3))),
        ("conv-32-64-8", (14, 22, 3)),
    ],
)
def test_an_architecture_ends_in_its_deepest_map_that_is_fine_enough(distilling, student, map_size):
    step = distilling(student=student, size=[64, 96])
    new_student = import_object("pupila_distill.new_student:new_student")
    model = new_student(step)
    assert model.input_shape == (None, 64, 96, 3)
    assert model.output_shape[1:] == map_size
    assert "dense_8" not in [layer.name for layer in model.layers]
