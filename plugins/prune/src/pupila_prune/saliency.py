"""Scores units by how much they matter to the model; see `pupila_prune.channels` for units.

**taylor.** Molchanov et al. 2019 (CVPR; arXiv 1906.10771), "Importance estimation for neural
network pruning", equation 8. With the gradient g of the loss on labelled images, and the
sum over all weights w of a unit,

    I = E[(Σ g · w)²]

I is the square of the first-order change of the loss if these weights became 0; the expectation is
over batches. The weights of a unit are all weights that would be cut with it: they make, alter or
read the unit's channels, as in DepGraph (Fang et al. 2023). Running statistics have no gradient and
do not count. A weight between two channels of one unit counts twice.

As in the paper, units of all layers are compared without normalisation, since their scores are all
changes of the same loss. The score is √I divided by the number of parameters that cutting the unit
removes: the change of the loss per parameter saved. (The paper counts filters, and does not
divide.)

**magnitude.** Li et al. 2017 (ICLR; arXiv 1608.08710), "Pruning filters for efficient convnets".
The score is the norm of all filters that make the unit's channels. It is the L2 norm; the paper
uses L1 and finds no difference. Norms of different layers are not comparable, so each norm is
divided by the mean over the units that the same layers make. This score is not divided by the
number of parameters, as it is not a change of the loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.keras_files import import_keras, import_tensorflow
from pupila.training.batches import Batches
from pupila.training.loss import Loss, label_loss
from pupila_prune.channels import FIXED, Axis, Channels

keras, tf = import_keras(), import_tensorflow()
ops = keras.ops

Scores = NDArray[np.float64]
"""The score of each unit, `(units,)`. Units with the lowest scores are cut first."""


def taylor(model: Any, channels: Channels, batches: Batches, loss: Loss = label_loss) -> Scores:
    """Return for each unit the change of the loss per parameter saved, by Taylor expansion.

    `channels` has the units of `model`. `batches` are images with labels as targets, and `loss` is
    the loss on them, by default of a classifier that outputs logits. The model runs in inference
    mode: normalisation uses its running statistics, and dropout is off.
    """
    axes = [axis for axis in channels.axes if _weight(model, axis).trainable]
    measure = _measure(model, axes, loss)
    squares = np.zeros(channels.count)
    for number in range(len(batches)):
        pictures, labels = batches[number]
        changes = measure(tf.constant(pictures, tf.float32), tf.constant(labels))
        squares += _sum_by_unit(channels, axes, [np.asarray(change) for change in changes]) ** 2
    return np.sqrt(squares / len(batches)) / channels.costs()


def magnitude(model: Any, channels: Channels) -> Scores:
    """Return for each unit the norm of its filters, relative to other units of the same layers.

    `channels` has the units of `model`. The norm is divided by the mean norm of all units that the
    same layers make.
    """
    axes = channels.filters
    squares = [_sum_other_axes(ops.square(_weight(model, axis)), axis) for axis in axes]
    norms = np.sqrt(_sum_by_unit(channels, axes, [np.asarray(square) for square in squares]))
    made_by = np.stack([channels.entries(axis) > 0 for axis in axes], axis=-1)
    _, family = np.unique(made_by, axis=0, return_inverse=True)
    means = np.bincount(family, norms) / np.bincount(family)
    return norms / np.maximum(means[family], np.finfo(np.float64).tiny)


def _measure(model: Any, axes: list[Axis], loss: Loss) -> Any:
    """Return a function that computes Σ g · w of each entry along each axis from a batch."""
    variables = [_weight(model, axis).value for axis in axes]

    @tf.function(reduce_retracing=True)
    def measure(pictures: Any, labels: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            mean = ops.mean(loss(labels, model(pictures, training=False)))
        gradients = tape.gradient(
            mean, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        products = [g * w for g, w in zip(gradients, variables, strict=True)]
        return [_sum_other_axes(p, axis) for p, axis in zip(products, axes, strict=True)]

    return measure


def _sum_other_axes(values: Any, axis: Axis) -> Any:
    others = [number for number in range(len(values.shape)) if number != axis.number]
    return ops.sum(values, axis=others) if others else values


def _sum_by_unit(channels: Channels, axes: Any, values: list[NDArray[np.float32]]) -> Scores:
    """Return for each unit the sum of the values of its entries along all axes, `(units,)`."""
    totals = np.zeros(channels.count)
    for axis, along_axis in zip(axes, values, strict=True):
        cut = axis.units != FIXED
        totals += np.bincount(axis.units[cut], along_axis[cut], minlength=channels.count)
    return totals


def _weight(model: Any, axis: Axis) -> Any:
    layer = model.get_layer(axis.layer)
    (weight,) = (weight for weight in layer.weights if weight.name == axis.weight)
    return weight
