"""The loss of `distill-embedding`: LELP's cross-entropy, and the weights of its terms."""

from __future__ import annotations

import numpy as np
import pytest

from pupila.training.loss import distillation_loss
from pupila_distill.config import EmbeddingDistillation
from pupila_distill.embedding import embedding_loss, keras, subclass_loss, with_features
from pupila_distill.relations import angle_loss, distance_loss

RANDOM = np.random.default_rng(0)
IMAGES, CLASSES, COUNT = 4, 3, 2
LABELS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [0.2, 0.5, 0]])
"""The third image has no label, and the fourth is a mixture with one that has none."""
TEACHER = RANDOM.normal(size=(IMAGES, CLASSES))
STUDENT = RANDOM.normal(size=(IMAGES, CLASSES))


def softmax(values):
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


SUBCLASSES = softmax(RANDOM.normal(size=(IMAGES, 2, CLASSES, COUNT)))
"""Of two teachers."""
HEADS = RANDOM.normal(size=(IMAGES, 2, CLASSES, COUNT))
SIZES = [5, 7]
SEEN = [RANDOM.normal(size=(IMAGES, size)) for size in SIZES]
OURS = RANDOM.normal(size=(IMAGES, 6))


def settings(**changes):
    return EmbeddingDistillation.model_validate({"subclasses": COUNT, "temperature": 3} | changes)


def flat(array):
    return array.reshape(IMAGES, -1)


def divergence(p, q):
    return (p * np.log(p / q)).sum(axis=-1)


def joint(of_class, of_subclass):
    """p(c, s) of each image, in one row."""
    return flat(of_class[..., np.newaxis] * of_subclass)


@pytest.mark.parametrize("alpha", [0, 0.3])
@pytest.mark.parametrize("temperature", [1, 3])
def test_of_one_teacher_it_is_the_one_divergence_over_all_subclasses(alpha, temperature):
    """KL of p(c, s) = p(c) · p(s | c), for teacher and student alike; the labels as in distill."""
    config = settings(alpha=alpha, temperature=temperature)
    loss = embedding_loss(distillation_loss(alpha, temperature), config, CLASSES, (), (1,))
    one, head = SUBCLASSES[:, :1], HEADS[:, :1]
    values = loss(
        np.concatenate([LABELS, TEACHER, flat(one)], 1), np.concatenate([STUDENT, flat(head)], 1)
    )
    theirs = joint(softmax(TEACHER / temperature), one[:, 0])
    ours = joint(softmax(STUDENT / temperature), softmax(head[:, 0] / temperature))
    assert ours.reshape(IMAGES, CLASSES, COUNT).sum(axis=2) == pytest.approx(
        softmax(STUDENT / temperature)
    ), "what is left when the subclasses are dropped is their sum"
    hard = -(LABELS * np.log(softmax(STUDENT))).sum(axis=1)
    of_teacher = (1 - alpha * LABELS.sum(axis=1)) * temperature**2
    wanted = alpha * hard + of_teacher * divergence(theirs, ours)
    assert np.asarray(values) == pytest.approx(wanted, rel=1e-5)


def test_one_value_worked_out_on_paper():
    # two classes of 2 subclasses, T = 2, α = 0: teacher sure of neither class, its subclasses
    # (3, 1)/4 and (1, 1)/2; the student has both even: 4 · (.5 · KL((3, 1)/4 ‖ even) + 0)
    targets = np.array([[1, 0, 0, 0, 0.75, 0.25, 0.5, 0.5]])
    values = subclass_loss(settings(alpha=0, temperature=2), targets, np.zeros((1, 6)), [1.0])
    expected = 2 * (0.75 * np.log(1.5) + 0.25 * np.log(0.5))
    assert float(values[0]) == pytest.approx(expected, rel=1e-6)


WEIGHTS = {"subclass_weight": 2, "distance_weight": 25, "angle_weight": 50}


@pytest.mark.parametrize("weights", [(1, 1), (3, 1)])
@pytest.mark.parametrize("kept", [(), ("subclass_weight",), ("distance_weight",), tuple(WEIGHTS)])
def test_terms_of_several_teachers_are_weighed_and_added(weights, kept):
    config = settings(**{name: value * (name in kept) for name, value in WEIGHTS.items()})
    answers = distillation_loss(config.alpha, config.temperature)
    relates = len(kept) == 3 or "distance_weight" in kept
    sizes = SIZES if relates else ()
    targets, outputs = [LABELS, TEACHER], [STUDENT]
    if config.subclass_weight:
        targets.append(flat(SUBCLASSES))
        outputs.append(flat(HEADS))
    if relates:
        targets += SEEN
        outputs.append(OURS)
    loss = embedding_loss(answers, config, CLASSES, sizes, weights)
    values = loss(
        *(np.concatenate(columns, 1).astype(np.float32) for columns in (targets, outputs))
    )

    wanted = np.asarray(answers(np.concatenate([LABELS, TEACHER], 1), STUDENT))
    for number, share in enumerate(np.array(weights) / sum(weights)):
        t = config.temperature
        apart = divergence(SUBCLASSES[:, number], softmax(HEADS[:, number] / t))
        of_teacher = (1 - config.alpha * LABELS.sum(axis=1)) * t**2
        term = config.subclass_weight * of_teacher * (softmax(TEACHER / t) * apart).sum(axis=1)
        term = term + config.distance_weight * np.asarray(distance_loss(SEEN[number], OURS))
        term = term + config.angle_weight * np.asarray(angle_loss(SEEN[number], OURS))
        wanted = wanted + share * term
    assert np.asarray(values) == pytest.approx(wanted, rel=1e-4)


def test_targets_of_answers_alone_have_the_loss_of_distill():
    answers = distillation_loss(0.1, 3)
    loss = embedding_loss(answers, settings(), CLASSES, (), (1,))
    targets = np.concatenate([LABELS, TEACHER], 1)
    values = loss(targets, np.concatenate([STUDENT, flat(HEADS)], 1))
    assert np.asarray(values) == pytest.approx(np.asarray(answers(targets, STUDENT)))


@pytest.mark.parametrize("columns", [0, 8])
@pytest.mark.parametrize("relates", [False, True])
def test_the_student_gives_its_logits_subclasses_and_features_side_by_side(columns, relates):
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Conv2D(2, 3, 3)(image))
    student = keras.Model(image, layers.Dense(2)(layers.Dropout(0.9)(x)))
    pictures = RANDOM.normal(size=(3, 8, 8, 3)).astype(np.float32)
    given = np.asarray(with_features(student, columns, relates)(pictures, training=False))
    assert given.shape == (3, 2 + columns + 8 * relates)
    assert given[:, :2] == pytest.approx(np.asarray(student(pictures)), abs=1e-6)
    if relates:
        features = np.asarray(keras.Model(image, x)(pictures))
        assert given[:, -8:] == pytest.approx(features, abs=1e-6)
