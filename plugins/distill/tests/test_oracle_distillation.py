from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pupila.measured import TaughtFractions
from pupila.training.loss import accuracy, keras
from pupila.training.oracle import oracle_loss, oracle_targets, oracle_teaching, right_teachers
from pupila.training.targets import one_hot

# Images: all teachers right; the first alone; the third alone; none; none, unlabelled.
LABELS = np.concatenate([one_hot(np.array([0, 1, 0, 1]), 2), np.zeros((1, 2), np.float32)])
TEACHERS = [
    np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3], [0.8, 0.2]], np.float32),
    np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9], [0.9, 0.1], [0.3, 0.7]], np.float32),
    np.array([[0.7, 0.3], [0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.6, 0.4]], np.float32),
]
CHOSEN = [[0, 1, 2], [0], [2], [], [0, 1, 2]]
STUDENT = np.array([[1, -1], [0.5, 0.25], [-2, 1], [0.3, 0.1], [0, 1]], np.float32)


def softmax(values):
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def by_hand(alpha, temperature, logits=STUDENT):
    """The equation, image by image, in float64; `CHOSEN` are the teachers with u = 1."""
    values = []
    for row, chosen in enumerate(CHOSEN):
        z, y = logits[row].astype(np.float64), LABELS[row].astype(np.float64)
        hard = -(y * np.log(softmax(z))).sum()
        if not chosen:
            values.append(hard)
            continue
        t = np.log(np.stack([TEACHERS[k][row].astype(np.float64) for k in chosen]))
        mean = softmax(t / temperature).sum(axis=0) / len(chosen)
        divergence = (mean * np.log(mean / softmax(z / temperature))).sum()
        values.append(alpha * hard + (1 - alpha * y.sum()) * temperature**2 * divergence)
    return np.array(values)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_right_teachers_are_imitated_and_the_label_is_learned_where_there_are_none(
    alpha, temperature
):
    targets = oracle_targets(LABELS, TEACHERS, temperature)
    values = np.asarray(oracle_loss(alpha, temperature)(targets, STUDENT))
    assert values == pytest.approx(by_hand(alpha, temperature), rel=1e-4, abs=1e-5)
    assert targets[:, 4].tolist() == [1, 1, 1, 0, 1]


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_the_gradient_is_that_of_finite_differences(alpha):
    targets, step = oracle_targets(LABELS, TEACHERS, 3.0), 1e-5
    logits = tf.constant(STUDENT)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total = tf.reduce_sum(oracle_loss(alpha, 3.0)(targets, logits))
    gradient = np.asarray(tape.gradient(total, logits))
    for column in range(2):
        moved = np.zeros((1, 2))
        moved[0, column] = step
        up, down = (by_hand(alpha, 3.0, STUDENT + step_taken) for step_taken in (moved, -moved))
        assert gradient[:, column] == pytest.approx((up - down) / (2 * step), rel=1e-3, abs=1e-4)


def test_one_teacher_is_imitated_only_where_it_is_right():
    targets = oracle_targets(LABELS, TEACHERS[:1], 2.0)
    assert targets[:, 4].tolist() == [1, 1, 0, 0, 1]
    assert softmax(targets[:, 2:4] / 2) == pytest.approx(softmax(np.log(TEACHERS[0]) / 2), abs=1e-6)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ([0.6, 0.4], [True, True, True]),
        ([0.4, 0.6], [False, False, False]),
        ([0.0, 0.4], [True, True, True]),  # an unlabelled image has the other part
    ],
)
def test_the_largest_part_of_a_mixed_label_counts_as_the_truth(label, expected):
    right = right_teachers(np.array([label], np.float32), [answers[3:4] for answers in TEACHERS])
    assert right[:, 0].tolist() == expected


def test_the_fractions_of_labelled_pictures_with_right_teachers_are_reported():
    # of the second view, image 1 has the label that the first teacher has wrong
    second = LABELS.copy()
    second[1] = [1, 0]
    views = [np.stack([answers, answers]) for answers in TEACHERS]
    teaching = oracle_teaching([LABELS, second], views)
    # all: image 0, twice; none: image 3, twice; of 2 views with 4 labelled images each
    assert teaching.taught_by == TaughtFractions(all=2 / 8, some=4 / 8, none=2 / 8)


def naive_loss(temperature):
    """The naive mean over the right teachers: a sum divided by a count."""

    def loss(targets, logits):
        labels, answers = targets[:, 0], targets[:, 1:]
        truth = tf.expand_dims(tf.argmax(labels, -1), 1)
        chosen = tf.expand_dims(tf.cast(tf.argmax(answers, -1) == truth, "float32"), -1)
        mean = tf.reduce_sum(chosen * answers, 1) / tf.reduce_sum(chosen, 1)
        log_q = tf.nn.log_softmax(logits / temperature)
        return -(temperature**2) * tf.reduce_sum(mean * log_q, -1)

    return loss


def separable(images=64):
    """Return points whose sign is the class, and two teachers that are wrong on every eighth."""
    random, numbers = np.random.default_rng(0), np.arange(images)
    classes = numbers % 2
    points = (2 * classes - 1)[:, None] * random.uniform(0.5, 1.5, (images, 4))
    answered = one_hot(np.where(numbers % 8 == 0, 1 - classes, classes), 2)
    teachers = [0.1 + np.float32(0.8) * answered, 0.2 + np.float32(0.6) * answered]
    return points.astype(np.float32), one_hot(classes, 2), teachers


def trained_accuracy(loss, points, labels, targets):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.1), loss, jit_compile=False)
    model.fit(points, targets, batch_size=16, epochs=5, verbose=0)
    return float(np.asarray(accuracy(2)(labels, model.predict(points, verbose=0))).mean()), model


def test_a_mean_over_no_teacher_stays_at_chance_and_ours_learns():
    points, labels, teachers = separable()
    naive = np.stack([labels, *teachers], axis=1)
    reached, model = trained_accuracy(naive_loss(2.0), points, labels, naive)
    assert np.isnan(model.get_weights()[0]).all()
    assert reached == 0.5  # argmax of NaN is class 0, whatever the picture
    ours = oracle_targets(labels, teachers, 2.0)
    reached, model = trained_accuracy(oracle_loss(0.0, 2.0), points, labels, ours)
    assert np.isfinite(model.get_weights()[0]).all()
    assert reached == 1
