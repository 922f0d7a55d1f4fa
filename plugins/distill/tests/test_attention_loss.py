"""The loss of attention transfer: the equation of the paper, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest

from pupila.training.loss import distillation_loss
from pupila_distill.attention import attention_loss, distance

RANDOM = np.random.default_rng(0)
SIZES = [(2, 3), (1, 2)]
LABELS = np.array([[1.0, 0.0], [0.0, 1.0], [0.25, 0.75]])
TEACHER = RANDOM.normal(size=(3, 2))
STUDENT = RANDOM.normal(size=(3, 2))
THEIRS = RANDOM.uniform(0.1, 4, (3, 8))
OURS = RANDOM.uniform(0.1, 4, (3, 8))


def softmax(values):
    raised = np.exp(values)
    return raised / raised.sum(axis=-1, keepdims=True)


def distance_by_hand(theirs, ours):
    """Σ_j mean((Q_S / ‖Q_S‖₂ - Q_T / ‖Q_T‖₂)²), position by position."""
    total = np.zeros(len(ours))
    for image in range(len(ours)):
        for start, end in ((0, 6), (6, 8)):
            mine, its = ours[image, start:end], theirs[image, start:end]
            mine = mine / sum(value**2 for value in mine) ** 0.5
            its = its / sum(value**2 for value in its) ** 0.5
            total[image] += sum((m - i) ** 2 for m, i in zip(mine, its, strict=True)) / len(its)
    return total


def loss_by_hand(ours, logits, alpha, temperature, beta):
    hard = -(LABELS * np.log(softmax(logits))).sum(axis=1)
    wanted, given = softmax(TEACHER / temperature), softmax(logits / temperature)
    soft = (wanted * np.log(wanted / given)).sum(axis=1)
    answers = alpha * hard + (1 - alpha) * temperature**2 * soft
    return answers + beta * distance_by_hand(THEIRS, ours)


def loss_of(outputs, alpha=0.1, temperature=4.0, beta=1000.0):
    loss = attention_loss(distillation_loss(alpha, temperature), beta, 2, SIZES)
    return loss(np.concatenate([LABELS, TEACHER, THEIRS], axis=1), outputs)


@pytest.mark.parametrize("beta", [0.0, 1000.0])
@pytest.mark.parametrize(("alpha", "temperature"), [(0.1, 4.0), (0.9, 1.0)])
def test_it_is_the_equation_of_the_paper(alpha, temperature, beta):
    loss = np.asarray(loss_of(np.concatenate([STUDENT, OURS], 1), alpha, temperature, beta))
    wanted = loss_by_hand(OURS, STUDENT, alpha, temperature, beta)
    assert loss == pytest.approx(wanted, rel=1e-6)


def test_targets_without_attention_have_the_loss_of_distill_alone():
    loss = attention_loss(distillation_loss(0.1, 4.0), 1000.0, 2, SIZES)
    values = loss(
        np.concatenate([LABELS, TEACHER], axis=1), np.concatenate([STUDENT, OURS], axis=1)
    )
    assert np.asarray(values) == pytest.approx(loss_by_hand(OURS, STUDENT, 0.1, 4.0, 0), rel=1e-6)


def test_one_value_worked_out_on_paper():
    # (3, 4)/5 against (1, 0): ((.6 - 1)² + .8²) / 2 = .4
    assert float(
        distance(np.array([[1.0, 0]]), np.array([[3.0, 4]]), [(1, 2)])[0]
    ) == pytest.approx(0.4)


def test_only_where_a_net_looks_matters_not_how_strongly():
    assert np.asarray(distance(THEIRS, OURS * 7, SIZES)) == pytest.approx(
        np.asarray(distance(THEIRS, OURS, SIZES))
    )
    assert np.asarray(distance(THEIRS, THEIRS * 3, SIZES)) == pytest.approx(np.zeros(3), abs=1e-12)


def gradient(function, at):
    import tensorflow as tf

    variable = tf.constant(at)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        total = tf.reduce_sum(function(variable))
    return np.asarray(tape.gradient(total, variable))


def test_the_gradient_is_that_of_finite_differences():
    outputs = np.concatenate([STUDENT, OURS], axis=1)
    gradients = gradient(loss_of, outputs)
    for index in np.ndindex(outputs.shape):
        step = np.zeros_like(outputs)
        step[index] = 1e-5
        rise = np.sum(loss_of(outputs + step)) - np.sum(loss_of(outputs - step))
        assert gradients[index] == pytest.approx(rise / 2e-5, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("ours", [np.zeros((3, 8)), THEIRS], ids=["all dark", "alike"])
def test_the_gradient_is_finite_where_a_norm_has_none(ours):
    assert np.isfinite(gradient(loss_of, np.concatenate([STUDENT, ours], axis=1))).all()
