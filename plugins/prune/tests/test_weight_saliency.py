"""Scores of single weights, compared with scores computed another way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pupila import keras_files
from pupila_prune.kernels import kernels_of
from pupila_prune.weight_saliency import magnitude, obd

keras = keras_files.import_keras()
layers, ops = keras.layers, keras.ops


def pictures(shape, images=5) -> Any:
    random = np.random.default_rng(0)
    return [
        (random.normal(0, 1, (1, *shape)).astype(np.float32), np.zeros((1, 3), np.float32))
        for _ in range(images)
    ]


def linear(classes=3):
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    return keras.Model(given, layers.Dense(classes, name="logits")(given))


def convolutional():
    keras.utils.set_random_seed(0)
    given = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, strides=2, activation="tanh")(given)
    x = layers.Dropout(0.5)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(2)(x)
    return keras.Model(given, layers.Dense(3)(layers.Flatten()(x)))


def check(scores, curvatures, kernels):
    assert len(scores) == len(curvatures) == len(kernels)
    for score, h, kernel in zip(scores, curvatures, kernels, strict=True):
        np.testing.assert_allclose(score, h * kernel.values**2 / 2, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("classes", [2, 3])
def test_obd_is_exact_where_the_logits_are_linear_in_the_weights(classes):
    """There the Gauss-Newton form is the whole Hessian of the loss, whatever the labels are."""
    model, shown = linear(classes), pictures((4,))
    kernels = kernels_of(model)
    weight = kernels[0].variable.value
    labels = np.random.default_rng(1).integers(0, classes, len(shown))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            logits = tf.concat([model(picture) for picture, _ in shown], axis=0)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            )
        gradient = inner.gradient(loss, weight)
    hessian = np.asarray(outer.jacobian(gradient, weight))
    diagonal = np.einsum("ijij->ij", hessian)
    check(obd(model, kernels, shown), [diagonal], kernels)


def test_obd_is_the_gauss_newton_diagonal_of_a_deeper_net():
    model, shown = convolutional(), pictures((6, 6, 2))
    kernels = kernels_of(model)
    weights = [kernel.variable.value for kernel in kernels]
    expected = [np.zeros(weight.shape) for weight in weights]
    for picture, _ in shown:
        with tf.GradientTape() as tape:
            logits = model(picture, training=False)[0]
        p = np.asarray(tf.nn.softmax(logits))
        by_logits = np.diag(p) - np.outer(p, p)
        for total, jacobian in zip(expected, tape.jacobian(logits, weights), strict=True):
            j = np.asarray(jacobian)
            total += np.einsum("a...,ab,b...->...", j, by_logits, j) / len(shown)
    check(obd(model, kernels, shown), expected, kernels)


def test_a_weight_that_no_answer_depends_on_scores_zero():
    model = convolutional()
    (dense,) = (layer for layer in model.layers if isinstance(layer, layers.Dense))
    values = np.array(dense.kernel)
    values[:3] = 0  # one position of the feature map, all channels
    dense.kernel.assign(values)
    *_, scores = obd(model, kernels_of(model), pictures((6, 6, 2)))
    assert (scores[:3] == 0).all() and (scores[3:] > 0).all()


def test_magnitude_is_the_size_of_each_weight_of_every_kernel():
    model = convolutional()
    scores = magnitude(kernels_of(model))
    assert [score.shape for score in scores] == [(3, 3, 2, 3), (2, 2, 3, 1), (3, 3)]
    assert scores[2] == pytest.approx(np.abs(np.array(model.layers[-1].kernel)))


def test_measuring_leaves_the_model_as_it_is():
    model = convolutional()
    before = model.get_weights()
    obd(model, kernels_of(model), pictures((6, 6, 2)))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
