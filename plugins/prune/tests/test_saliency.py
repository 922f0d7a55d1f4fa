"""Scores of units, compared with scores computed another way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pupila import keras_files
from pupila.training.loss import label_loss
from pupila_prune.graph import channels_of
from pupila_prune.saliency import magnitude, taylor

keras = keras_files.import_keras()
layers = keras.layers


def net():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(5, 3, activation="relu", name="first")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Add()([x, layers.Conv2D(5, 1, activation="relu", name="second")(x)])
    x = layers.Conv2D(4, 3, activation="relu", name="third")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(2, name="logits")(x))


def batches(count=3, images=6) -> Any:
    random = np.random.default_rng(0)
    return [
        (
            random.uniform(0, 4, (images, 8, 8, 3)).astype(np.float32),
            np.eye(2, dtype=np.float32)[random.integers(0, 2, images)],
        )
        for _ in range(count)
    ]


def loss_of(model, batch):
    pictures, labels = batch
    return float(np.mean(np.asarray(label_loss(labels, model(pictures)))))


def weights_of(model, channels, unit):
    """Yield each trainable weight with a unit, the axis, and the entries of the unit along it."""
    for axis in channels.axes:
        layer = model.get_layer(axis.layer)
        (weight,) = (candidate for candidate in layer.weights if candidate.name == axis.weight)
        if weight.trainable and (axis.units == unit).any():
            yield weight, axis.number, np.flatnonzero(axis.units == unit)


def change(model, channels, unit, batch, step=0.01):
    """Return the derivative of the loss by a relative change of the weights of a unit, numerically.

    A weight between two channels of one unit is shrunk for both.
    """
    losses = []
    for sign in (1, -1):
        before = [np.array(weight) for weight in model.get_weights()]
        for weight, number, entries in weights_of(model, channels, unit):
            values = np.moveaxis(np.array(weight.value), number, 0)
            values[entries] *= 1 + sign * step
            weight.assign(np.moveaxis(values, 0, number))
        losses.append(loss_of(model, batch))
        model.set_weights(before)
    return (losses[0] - losses[1]) / (2 * step)


def test_taylor_is_the_change_of_the_loss_for_each_parameter():
    model, shown = net(), batches()
    channels = channels_of(model)
    assert channels.count == 9
    scores, costs = taylor(model, channels, shown), channels.costs()
    for unit in range(channels.count):
        squares = [change(model, channels, unit, batch) ** 2 for batch in shown]
        assert scores[unit] * costs[unit] == pytest.approx(np.sqrt(np.mean(squares)), rel=0.05)


def test_taylor_leaves_the_model_as_it_is():
    model = net()
    before = model.get_weights()
    taylor(model, channels_of(model), batches())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_unit_of_zeros_scores_zero():
    model = net()
    channels = channels_of(model)
    (third,) = (axis for axis in channels.filters if axis.layer == "third")
    kernel, bias = model.get_layer("third").weights
    kernel.assign(np.asarray(kernel) * np.array([1, 1, 0, 1]))
    bias.assign([1, 1, 0, 1])
    for scores in (taylor(model, channels, batches()), magnitude(model, channels)):
        assert scores[third.units[2]] == scores.min() == 0 < scores.max()


def test_magnitude_is_the_norm_of_the_filters_beside_others_of_their_layers():
    model = net()
    channels = channels_of(model)
    first, second, third, _ = (
        np.asarray(model.get_layer(axis.layer).kernel) for axis in channels.filters
    )
    tied = np.sqrt((first**2).sum((0, 1, 2)) + (second**2).sum((0, 1, 2)))
    alone = np.sqrt((third**2).sum((0, 1, 2)))
    expected = np.concatenate([tied / tied.mean(), alone / alone.mean()])
    assert magnitude(model, channels) == pytest.approx(expected, rel=1e-5)
