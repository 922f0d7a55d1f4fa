"""What a unit of channels is worth.

**taylor.** Molchanov et al. 2019 (CVPR; arXiv 1906.10771), "Importance estimation for neural
network pruning", equation 8, for all weights w of a unit, with the gradient g of the cross-entropy
on labelled images:

    I = E[(Σ g · w)²]

It is the square of how the loss would change, to first order, were these weights 0. The expectation
is over batches. All weights that would be cut count: those that make the unit's channels, alter
them, and read them, as in DepGraph (Fang et al. 2023). Running statistics have no gradient and no
part. A weight between two channels of one unit counts for each.

All are changes of one loss, so units are compared across layers without normalisation, as the
paper does; its point is that this criterion needs none. The score is √I divided by the parameters
that the unit takes along: the change of the loss for each parameter saved, since it is parameters
that are to be saved. The paper counts filters, and divides by nothing.

**magnitude.** Li et al. 2017 (ICLR; arXiv 1608.08710), "Pruning filters for efficient convnets",
with the L2 norm (they take L1, and find L2 no different): the norm of all filters that make the
unit's channels. Norms of unlike layers are not comparable, so each is divided by the mean of the
units that are made by the same layers. Nothing is divided by parameters: beside the others of its
layer, a norm is no loss that could be weighed against size.
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
"""Of each unit `(units,)`: the lower, the earlier it is cut."""


def taylor(model: Any, channels: Channels, batches: Batches) -> Scores:
    """Return the change of the loss per parameter, see the head of this module.

    `model` gives logits `(batch, classes)`, and has the layers that `channels` are of; `batches`
    are pictures with labels `(batch, classes)`. Nothing is trained: normalisation uses its running
    statistics, and nothing is dropped out.
    """
    axes = [axis for axis in channels.axes if _weight(model, axis).trainable]
    measure = _measure(model, axes)
    squares = np.zeros(channels.count)
    for number in range(len(batches)):
        pictures, labels = batches[number]
        changes = measure(tf.constant(pictures, tf.float32), tf.constant(labels))
        squares += _by_unit(channels, axes, [np.asarray(each) for each in changes]) ** 2
    return np.sqrt(squares / len(batches)) / channels.costs()


def magnitude(model: Any, channels: Channels) -> Scores:
    """Return the norm of each unit's filters, relative to the mean of those of the same layers."""
    axes = channels.filters
    squares = [_other_axes_summed(ops.square(_weight(model, axis)), axis) for axis in axes]
    norms = np.sqrt(_by_unit(channels, axes, [np.asarray(each) for each in squares]))
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
        return [_other_axes_summed(p, axis) for p, axis in zip(products, axes, strict=True)]

    return measure


def _other_axes_summed(values: Any, axis: Axis) -> Any:
    others = [number for number in range(len(values.shape)) if number != axis.number]
    return ops.sum(values, axis=others) if others else values


def _by_unit(channels: Channels, axes: Any, values: list[NDArray[np.float32]]) -> Scores:
    """Add up what the entries along axes have, by unit."""
    totals = np.zeros(channels.count)
    for axis, each in zip(axes, values, strict=True):
        cut = axis.units != FIXED
        totals += np.bincount(axis.units[cut], each[cut], minlength=channels.count)
    return totals


def _weight(model: Any, axis: Axis) -> Any:
    layer = model.get_layer(axis.layer)
    (found,) = (weight for weight in layer.weights if weight.name == axis.weight)
    return found
