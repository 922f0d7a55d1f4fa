from __future__ import annotations

import numpy as np
import pytest

from pupila_distill.loss import accuracy, distillation_loss, keras, label_loss, one_hot, packed

LABELS = one_hot(np.array([0, 1]), 2)
TEACHER = np.array([[0.9, 0.1], [0.3, 0.7]], np.float32)
STUDENT = np.array([[1.0, -1.0], [0.5, 0.25]], np.float32)


def softmax(values):
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def by_hand(alpha, temperature):
    """α·CE(y, softmax(z)) + (1 - α)·T²·KL(softmax(t/T) ‖ softmax(z/T)), t = log p, in float64."""
    logits = STUDENT.astype(np.float64)
    hard = -(LABELS * np.log(softmax(logits))).sum(axis=1)
    wanted = softmax(np.log(TEACHER.astype(np.float64)) / temperature)
    given = softmax(logits / temperature)
    divergence = (wanted * np.log(wanted / given)).sum(axis=1)
    return alpha * hard + (1 - alpha) * temperature**2 * divergence


def value(alpha, temperature, logits=STUDENT):
    targets = packed(LABELS, TEACHER[np.newaxis])[0]
    return np.asarray(distillation_loss(alpha, temperature)(targets, logits))


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_it_is_the_equation_of_the_paper(alpha, temperature):
    assert value(alpha, temperature) == pytest.approx(
        by_hand(alpha, temperature), rel=1e-4, abs=1e-5
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


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_gradient_is_that_of_the_paper(temperature):
    import tensorflow as tf

    logits = tf.constant(STUDENT)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total = tf.reduce_sum(
            distillation_loss(0.1, temperature)(packed(LABELS, TEACHER[np.newaxis])[0], logits)
        )
    # d CE / dz = softmax(z) - y; d T²KL / dz = T (softmax(z/T) - softmax(t/T))
    hard = softmax(STUDENT) - LABELS
    soft = softmax(STUDENT / temperature) - softmax(np.log(TEACHER) / temperature)
    expected = 0.1 * hard + 0.9 * temperature * soft
    assert np.asarray(tape.gradient(total, logits)) == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_a_teacher_that_is_wholly_sure_gives_a_finite_loss():
    sure = np.array([[[1.0, 0.0], [0.0, 1.0]]], np.float32)
    loss = distillation_loss(0.0, 1.0)(packed(LABELS, sure)[0], STUDENT)
    assert np.isfinite(np.asarray(loss)).all()


def test_labels_are_repeated_for_each_view():
    targets = packed(LABELS, np.stack([TEACHER, TEACHER[::-1]]))
    assert targets.shape == (2, 2, 4)
    assert (targets[..., :2] == LABELS).all()
    assert np.exp(targets[1, :, 2:]) == pytest.approx(TEACHER[::-1])


def test_accuracy_reads_the_labels_whatever_is_packed_beside_them():
    assert np.asarray(accuracy(packed(LABELS, TEACHER[np.newaxis])[0], STUDENT)).tolist() == [1, 0]
    assert np.asarray(accuracy(LABELS, STUDENT)).tolist() == [1, 0]


def test_plain_keras_trains_with_it():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.1), distillation_loss(0.1, 4.0), jit_compile=False)
    targets = packed(LABELS, TEACHER[np.newaxis])[0]
    losses = [float(model.train_on_batch(STUDENT, targets)) for _ in range(20)]
    assert losses[-1] < losses[0] / 2
