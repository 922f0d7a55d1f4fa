"""Relations of the images of a batch: the equations of Park et al. 2019, and their gradients."""

from __future__ import annotations

import numpy as np
import pytest

from pupila_distill.relations import angle_loss, distance_loss

RANDOM = np.random.default_rng(0)
TEACHER = RANDOM.normal(size=(5, 7)).astype(np.float32)
STUDENT = 3 * RANDOM.normal(size=(5, 3)).astype(np.float32)


def huber(difference):
    size = abs(difference)
    return size**2 / 2 if size <= 1 else size - 0.5


def distances_by_hand(points):
    apart = [[float(np.linalg.norm(a - b)) for b in points] for a in points]
    different = [d for i, row in enumerate(apart) for j, d in enumerate(row) if i != j]
    return np.array(apart) / np.mean(different)


def cosine_by_hand(points, i, j, k):
    first, second = points[i] - points[j], points[k] - points[j]
    sizes = np.linalg.norm(first) * np.linalg.norm(second)
    return 0.0 if sizes == 0 else float(first @ second / sizes)


def test_by_distance_it_is_the_equation_of_the_paper():
    theirs, ours = distances_by_hand(TEACHER), distances_by_hand(STUDENT)
    wanted = [np.mean([huber(difference) for difference in row]) for row in theirs - ours]
    assert np.asarray(distance_loss(TEACHER, STUDENT)) == pytest.approx(wanted, rel=1e-4)


def test_by_angle_it_is_the_equation_of_the_paper():
    def differences(j):
        return [
            cosine_by_hand(TEACHER, i, j, k) - cosine_by_hand(STUDENT, i, j, k)
            for i in range(5)
            for k in range(5)
        ]

    wanted = [np.mean([huber(difference) for difference in differences(j)]) for j in range(5)]
    assert np.asarray(angle_loss(TEACHER, STUDENT)) == pytest.approx(wanted, rel=1e-4)


def test_values_worked_out_on_paper():
    # on a line: 3, 4 and 7 apart, 14/3 on average; all alike: 1, 1, 1
    line, triangle = np.array([[0.0], [3], [7]]), np.array([[0.0, 0], [2, 0], [1, 3**0.5]])
    line, triangle = line.astype(np.float32), triangle.astype(np.float32)
    first = (huber(9 / 14 - 1) + huber(21 / 14 - 1)) / 3
    assert float(distance_loss(line, triangle)[0]) == pytest.approx(first, rel=1e-5)
    # at the first point 0° against 60°, at the middle one 180°; a side with itself is 0° in both
    assert np.asarray(angle_loss(line, triangle)) == pytest.approx(
        [2 * huber(1 - 0.5) / 9, 2 * huber(-1 - 0.5) / 9, 2 * huber(1 - 0.5) / 9], rel=1e-5
    )


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
def test_turned_moved_and_enlarged_features_have_the_same_relations(loss):
    turn, _ = np.linalg.qr(RANDOM.normal(size=(7, 7)))
    moved = (TEACHER @ turn * 5 + 2).astype(np.float32)
    assert np.asarray(loss(TEACHER, moved)) == pytest.approx(np.zeros(5), abs=1e-9)


def gradient(loss, student):
    import tensorflow as tf

    at = tf.constant(student)
    with tf.GradientTape() as tape:
        tape.watch(at)
        total = tf.reduce_sum(loss(TEACHER, at))
    return np.asarray(tape.gradient(total, at))


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
def test_the_gradient_is_that_of_finite_differences(loss):
    gradients = gradient(loss, STUDENT)
    for index in np.ndindex(STUDENT.shape):
        step = np.zeros_like(STUDENT)
        step[index] = 0.02
        rise = np.sum(loss(TEACHER, STUDENT + step)) - np.sum(loss(TEACHER, STUDENT - step))
        assert gradients[index] == pytest.approx(rise / 0.04, rel=0.05, abs=2e-3)


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
@pytest.mark.parametrize(
    "student", [np.zeros((5, 3)), np.repeat(STUDENT[:1], 5, 0), STUDENT[[0, 0, 1, 2, 3]]]
)
def test_equal_features_have_a_finite_gradient(loss, student):
    student = student.astype(np.float32)
    assert np.isfinite(gradient(loss, student)).all()
    assert np.isfinite(np.asarray(loss(TEACHER, student))).all()


def test_a_batch_of_one_image_has_no_relations():
    for loss in (distance_loss, angle_loss):
        assert np.asarray(loss(TEACHER[:1], STUDENT[:1])) == pytest.approx([0])
