"""Scores units by how much they matter to the model; see `pupila_prune.channels` for units.

**taylor.** Molchanov et al. 2019 (CVPR; arXiv 1906.10771), "Importance estimation for neural
network pruning", equation 8, for all weights w of a unit, with the gradient g of the cross-entropy
on labelled images:

    I = E[(Σ g · w)²]

I is the square of the first-order change of the loss if these weights became 0; the expectation is
over batches. The sum is over all weights that would be cut, which make, alter or read the unit's
channels, as in DepGraph (Fang et al. 2023). Running statistics have no gradient and do not count. A
weight between two channels of one unit counts twice.

As in the paper, units of all layers are compared without normalisation, since all are changes of
the same loss. The score is √I divided by the parameters that the unit removes: the change of the
loss per parameter saved. (The paper counts filters, and does not divide.)

**magnitude.** Li et al. 2017 (ICLR; arXiv 1608.08710), "Pruning filters for efficient convnets",
with the L2 norm (they use L1, and find no difference): the norm of all filters that make the unit's
channels. Norms of different layers are not comparable, so each is divided by the mean over the
units that the same layers make. It is not divided by parameters, as a relative norm is not a loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.keras_files import import_keras, import_tensorflow
from pupila.training.batches import Batches
from pupila.training.loss import label_loss
from pupila_prune.channels import FIXED, Axis, Channels

keras, tf = import_keras(), import_tensorflow()
ops = keras.ops

Scores = NDArray[np.float64]
"""The score of each unit `(units,)`: the lowest are cut first."""


def taylor(model: Any, channels: Channels, batches: Batches) -> Scores:
    """Return for each unit the change of the loss per parameter saved, by Taylor expansion.

    `model` outputs logits `(batch, classes)`; `channels` are those of its layers; `batches` are
    images with labels `(batch, classes)`. The model runs in inference mode: normalisation uses its
    running statistics, and dropout is off.
    """
    axes = [axis for axis in channels.axes if _weight(model, axis).trainable]
    measure = _measure(model, axes)
    squares = np.zeros(channels.count)
    for number in range(len(batches)):
        pictures, labels = batches[number]
        changes = measure(tf.constant(pictures, tf.float32), tf.constant(labels))
        squares += _sum_by_unit(channels, axes, [np.asarray(change) for change in changes]) ** 2
    return np.sqrt(squares / len(batches)) / channels.costs()


def magnitude(model: Any, channels: Channels) -> Scores:
    """Return the norm of each unit's filters, relative to the mean over the same layers' units."""
    axes = channels.filters
    squares = [_sum_other_axes(ops.square(_weight(model, axis)), axis) for axis in axes]
    norms = np.sqrt(_sum_by_unit(channels, axes, [np.asarray(square) for square in squares]))
    made_by = np.stack([channels.entries(axis) > 0 for axis in axes], axis=-1)
    _, family = np.unique(made_by, axis=0, return_inverse=True)
    means = np.bincount(family, norms) / np.bincount(family)
    return norms / np.maximum(means[family], np.finfo(np.float64).tiny)


def _measure(model: Any, axes: list[Axis]) -> Any:
    """Return a function from a batch to Σ g · w of each entry along each axis."""
    variables = [_weight(model, axis).value for axis in axes]

    @tf.function(reduce_retracing=True)
    def measure(pictures: Any, labels: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            loss = ops.mean(label_loss(labels, model(pictures, training=False)))
        gradients = tape.gradient(
            loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        products = [g * w for g, w in zip(gradients, variables, strict=True)]
        return [_sum_other_axes(p, axis) for p, axis in zip(products, axes, strict=True)]

    return measure


def _sum_other_axes(values: Any, axis: Axis) -> Any:
    others = [number for number in range(len(values.shape)) if number != axis.number]
    return ops.sum(values, axis=others) if others else values


def _sum_by_unit(channels: Channels, axes: Any, values: list[NDArray[np.float32]]) -> Scores:
    """Sum the values of the entries along axes by unit."""
    totals = np.zeros(channels.count)
    for axis, along_axis in zip(axes, values, strict=True):
        cut = axis.units != FIXED
        totals += np.bincount(axis.units[cut], along_axis[cut], minlength=channels.count)
    return totals


def _weight(model: Any, axis: Axis) -> Any:
    layer = model.get_layer(axis.layer)
    (weight,) = (weight for weight in layer.weights if weight.name == axis.weight)
    return weight
