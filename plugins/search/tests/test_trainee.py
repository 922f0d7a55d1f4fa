from __future__ import annotations

import numpy as np
import pytest

from pupila import InputSpec
from pupila.testing import colour_dataset
from pupila.training.batches import Images, all_in_order, epoch_batches
from pupila.training.fitting import keras, optimizer
from pupila.training.loss import label_loss
from pupila.training.oracle import oracle_loss, oracle_targets
from pupila.training.schedule import LearningRate, Schedule
from pupila.training.targets import labels_of
from pupila.views import AS_IS
from pupila_search.building import build
from pupila_search.genome import Block, Genome
from pupila_search.trainee import AdamW, Trainee

GENOME = Genome(blocks=(Block(mark=0, kind="convolution", filters=8, stride=2),))
SIZE = InputSpec(height=16, width=16)
SCHEDULE = Schedule(epochs=5, batch_size=8, learning_rate=2e-2, augmentation=AS_IS)


@pytest.fixture
def train(tmp_path):
    return colour_dataset(tmp_path).select("train")


def images_of(train, targets):
    return Images.of(train, SIZE, [targets], AS_IS)


def trained(images, loss):
    keras.utils.set_random_seed(0)
    steps = len(epoch_batches(images, 0, 0, SCHEDULE.batch_size))
    trainee = Trainee(build(GENOME, SIZE, 2), loss, images, SCHEDULE, steps)
    on_validation = all_in_order(images, SCHEDULE.batch_size)
    history = [
        trainee.learn(epoch_batches(images, epoch, 0, SCHEDULE.batch_size), lambda: None)
        | trainee.evaluate(on_validation)
        for epoch in range(SCHEDULE.epochs)
    ]
    return trainee, history


def test_a_candidate_learns_from_labels(train):
    trainee, history = trained(images_of(train, labels_of(train)), label_loss)
    assert history[-1]["val_loss"] < 0.7 * history[0]["val_loss"]
    assert trainee.optimizer.variables[-1].numpy() == SCHEDULE.epochs * -(-len(train) // 8)


def test_the_images_that_a_candidate_gets_wrong_match_its_accuracy(train):
    labels = labels_of(train)
    labels[[1, 5, 6]] = labels[[1, 5, 6], ::-1]
    trainee, history = trained(images_of(train, labels), label_loss)
    on_validation = all_in_order(images_of(train, labels), SCHEDULE.batch_size)
    assert history[-1]["val_accuracy"] == pytest.approx(1 - 3 / len(train))
    assert trainee.wrong(on_validation) == (1, 5, 6)


def test_oracle_targets_have_the_label_where_no_teacher_is_right(train):
    labels = labels_of(train)
    targets = oracle_targets(labels, [0.8 - 0.6 * labels], temperature=4)  # always wrong
    _, history = trained(images_of(train, targets), oracle_loss(alpha=0, temperature=4))
    assert history[-1]["val_loss"] < 0.7 * history[0]["val_loss"]


def test_three_steps_are_those_of_the_common_optimizer_large_gradients_too():
    common = optimizer(SCHEDULE, steps=10)
    expected, ours = (
        [keras.Variable([1.0, -2.0]), keras.Variable([[0.5], [0.25], [3.0]])] for _ in range(2)
    )
    mine = AdamW(ours)
    for step, factor in enumerate((10.0, 1.0, 0.1)):
        given = ([3 * factor, 4 * factor], [[0.3], [0.1], [-0.2]])
        gradients = [keras.ops.convert_to_tensor(values) for values in given]
        rate = np.float32(common._learning_rate(step))
        common.apply_gradients(zip(gradients, expected, strict=True))
        mine.apply(gradients, [variable.value for variable in ours], rate)
    for right, got in zip(expected, ours, strict=True):
        assert np.array(got) == pytest.approx(np.array(right), rel=1e-5)


def test_the_first_step_moves_each_weight_by_the_rate(train):
    """Algorithm 2: after one step, mean over root of square is the gradient's sign."""
    images = images_of(train, labels_of(train))
    keras.utils.set_random_seed(0)
    trainee = Trainee(build(GENOME, SIZE, 2), label_loss, images, SCHEDULE, steps=1000)
    before = [np.array(variable) for variable in trainee.trainable_variables]
    batch = epoch_batches(images, 0, 0, len(images))
    trainee.learn(batch, lambda: None)
    rate = LearningRate.of(SCHEDULE, 1000).at(0)
    moved = np.concatenate(
        [
            np.ravel(np.array(now) - was * (1 - rate * 1e-3))
            for now, was in zip(trainee.trainable_variables, before, strict=True)
        ]
    )
    assert np.median(np.abs(moved)) == pytest.approx(rate, rel=0.02)
