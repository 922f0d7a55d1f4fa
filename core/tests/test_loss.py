# pyright: basic
# Losses and their tables of cases are Keras and numbers, which have no types.
from __future__ import annotations

import numpy as np
import pytest

from pupila.training.loss import accuracy, distillation_loss, keras, label_loss
from pupila.training.targets import one_hot, pack_targets, softened_mean

LABELS = one_hot(np.array([0, 1]), 2)
TEACHER = np.array([[0.9, 0.1], [0.3, 0.7]], np.float32)
STUDENT = np.array([[1.0, -1.0], [0.5, 0.25]], np.float32)
MIXED = np.array([[0.7, 0.3], [0.25, 0.75]], np.float32)
UNLABELLED = np.zeros((2, 2), np.float32)
PARTLY = np.array([[0.6, 0.0], [0.0, 0.3]], np.float32)


def softmax(values):
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def by_hand(alpha, temperature, labels=LABELS, logits=STUDENT):
    """α·CE(y, softmax(z)) + (1 - α·Σy)·T²·KL(softmax(t/T) ‖ softmax(z/T)), t = log p, in float64.

    The paper has Σy = 1.
    """
    labels, logits = labels.astype(np.float64), logits.astype(np.float64)
    hard = -(labels * np.log(softmax(logits))).sum(axis=1)
    wanted = softmax(np.log(TEACHER.astype(np.float64)) / temperature)
    given = softmax(logits / temperature)
    divergence = (wanted * np.log(wanted / given)).sum(axis=1)
    return alpha * hard + (1 - alpha * labels.sum(axis=1)) * temperature**2 * divergence


def targets(labels=LABELS, temperature=1.0):
    return pack_targets(labels, softened_mean([TEACHER], [1], temperature))


def value(alpha, temperature, logits=STUDENT, labels=LABELS):
    packed = targets(labels, temperature)
    return np.asarray(distillation_loss(alpha, temperature)(packed, logits))


def gradient(loss, packed, logits=STUDENT):
    import tensorflow as tf

    given = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = tf.reduce_sum(loss(packed, given))
    return np.asarray(tape.gradient(total, given))


@pytest.mark.parametrize("labels", [LABELS, MIXED, PARTLY, UNLABELLED])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_it_is_the_equation_of_the_paper(alpha, temperature, labels):
    assert value(alpha, temperature, labels=labels) == pytest.approx(
        by_hand(alpha, temperature, labels), rel=1e-4, abs=1e-5
    )


def test_one_value_worked_out_on_paper():
    # p = (.9, .1), z = (1, -1), T = 2: softmax(log p / T) = (3, 1)/4,
    # softmax(z / T) = (e, 1)/(e + 1)
    # KL = .75 ln(.75/.731059) + .25 ln(.25/.268941) = .0009266; CE = ln(1 + e^-2) = .126928
    assert value(0.1, 2.0)[0] == pytest.approx(0.1 * 0.126928 + 0.9 * 4 * 0.0009266, abs=1e-6)


def test_alpha_one_is_the_cross_entropy_with_the_labels():
    assert value(1.0, 4.0) == pytest.approx(np.asarray(label_loss(LABELS, STUDENT)), rel=1e-6)


def test_alpha_zero_is_nothing_where_the_student_answers_as_the_teacher():
    shifted = np.log(TEACHER) + np.float32(7)
    assert value(0.0, 4.0, shifted) == pytest.approx(np.zeros(2), abs=1e-5)


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_an_unlabelled_image_is_taught_by_the_teacher_alone(alpha):
    assert value(alpha, 4.0, labels=UNLABELLED) == pytest.approx(value(0.0, 4.0), rel=1e-6)


def test_the_loss_of_a_mixture_lies_between_those_of_its_parts():
    half = value(0.3, 4.0, labels=LABELS / 2)
    between = (value(0.3, 4.0) + value(0.3, 4.0, labels=UNLABELLED)) / 2
    assert half == pytest.approx(between, rel=1e-5)


@pytest.mark.parametrize("labels", [LABELS, MIXED, PARTLY, UNLABELLED])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_gradient_is_that_of_the_paper(temperature, labels):
    computed = gradient(distillation_loss(0.1, temperature), targets(labels, temperature))
    # d CE / dz = Σy softmax(z) - y; d T²KL / dz = T (softmax(z/T) - softmax(t/T))
    whole = labels.sum(axis=1, keepdims=True)
    hard = whole * softmax(STUDENT) - labels
    soft = softmax(STUDENT / temperature) - softmax(np.log(TEACHER) / temperature)
    expected = 0.1 * hard + (1 - 0.1 * whole) * temperature * soft
    assert computed == pytest.approx(expected, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("labels", [LABELS, PARTLY, UNLABELLED])
def test_the_gradient_is_that_of_finite_differences(labels):
    step, computed = 1e-5, gradient(distillation_loss(0.3, 3.0), targets(labels, 3.0))
    for column in range(2):
        moved = np.zeros((1, 2))
        moved[0, column] = step
        up, down = (by_hand(0.3, 3.0, labels, STUDENT + delta) for delta in (moved, -moved))
        assert computed[:, column] == pytest.approx((up - down) / (2 * step), rel=1e-3, abs=1e-4)


def test_labels_alone_have_no_gradient_where_there_are_none():
    assert gradient(label_loss, UNLABELLED) == pytest.approx(np.zeros((2, 2)), abs=1e-7)
    expected = PARTLY.sum(axis=1, keepdims=True) * softmax(STUDENT) - PARTLY
    assert gradient(label_loss, PARTLY) == pytest.approx(expected, abs=1e-6)


def test_a_teacher_that_is_wholly_sure_gives_a_finite_loss():
    sure = softened_mean([np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)], [1], 1.0)
    loss = distillation_loss(0.0, 1.0)(pack_targets(LABELS, sure), STUDENT)
    assert np.isfinite(np.asarray(loss)).all()


def test_columns_behind_those_of_the_teacher_are_not_read():
    more = pack_targets(targets(temperature=4.0), np.full((2, 3), np.nan, np.float32))
    losses = np.asarray(distillation_loss(0.1, 4.0)(more, STUDENT))
    assert losses == pytest.approx(by_hand(0.1, 4.0), rel=1e-4)


@pytest.mark.parametrize(
    ("packed", "outputs", "expected"),
    [
        (LABELS, STUDENT, [1, 0]),
        (pack_targets(LABELS, TEACHER), STUDENT, [1, 0]),
        (pack_targets(LABELS, TEACHER[::-1]), pack_targets(STUDENT, TEACHER), [1, 0]),
        (pack_targets(UNLABELLED, TEACHER), STUDENT, [1, 0]),
        (pack_targets(UNLABELLED, TEACHER[::-1]), STUDENT, [0, 1]),
        (pack_targets(PARTLY, TEACHER[::-1]), STUDENT, [1, 0]),
    ],
)
def test_accuracy_reads_the_labels_or_else_the_teacher_whatever_is_packed(
    packed, outputs, expected
):
    assert np.asarray(accuracy(2)(packed, outputs)).tolist() == expected


def test_plain_keras_trains_with_it():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.1), distillation_loss(0.1, 4.0), jit_compile=False)
    packed = targets(temperature=4.0)
    losses = [float(model.train_on_batch(STUDENT, packed)) for _ in range(20)]
    assert losses[-1] < losses[0] / 2
