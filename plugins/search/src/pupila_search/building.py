"""Builds Keras models from genomes, and reads and sets their weights.

The models suit int8: activations are ReLU or ReLU6, and each batch normalisation follows a
convolution, so that a converter can fold it. Inputs are raw RGB 0..255, which the model itself
scales; outputs are logits, or those of another task in training.
"""

from __future__ import annotations

from typing import Any

from pupila import InputSpec
from pupila.keras_files import import_keras
from pupila.training.task import TaskTraining
from pupila_search.genome import Block, Genome
from pupila_search.morphism import Weights, fit_array

keras = import_keras()
layers = keras.layers

_MOMENTUM = 0.9
"""Momentum of batch normalisation: low, as a candidate has only a few dozen steps per epoch."""

_DROPOUT = 0.2


def build(genome: Genome, input: InputSpec, classes: int, task: TaskTraining | None = None) -> Any:
    """Return a new model from images `(batch, height, width, 3)`, 0..255, to logits.

    The logits are `(batch, classes)`. `input` gives height and width. `task` says how a task other
    than classification is learned: the model then ends in the task's head.
    """
    image = keras.Input(input.shape, name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    for block in genome.blocks:
        x = _pool(_BUILDERS[block.kind](x, block), block)
    if task is not None:
        return keras.Model(image, task.head(x, genome.head.units, str), name="searched")
    if genome.head.flatten:
        x = layers.Flatten(name="flatten")(x)
    else:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dropout(_DROPOUT, name="dropout")(x)
    if genome.head.units:
        x = layers.Dense(genome.head.units, activation="relu", name="head_dense")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name="searched")


def weights_of(model: Any) -> Weights:
    """Return the weights of a model by layer name."""
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def load(model: Any, weights: Weights) -> None:
    """Copy weights into the layers of the same names, as far as the shapes fit."""
    for layer in model.layers:
        if layer.name in weights:
            fresh = layer.get_weights()
            kept = zip(weights[layer.name], fresh, strict=False)
            values = [fit_array(old, new) for old, new in kept]
            layer.set_weights(values + fresh[len(values) :])


def freeze_first(model: Any, genome: Genome) -> None:
    """Freeze the first half of the blocks, so that training changes only the second half."""
    frozen = {block.name for block in genome.blocks[: len(genome.blocks) // 2]}
    for layer in model.layers:
        layer.trainable = "_".join(layer.name.split("_")[:2]) not in frozen


def _convolution(x: Any, block: Block) -> Any:
    conv = layers.Conv2D(
        block.filters,
        block.kernel,
        block.stride,
        padding="same",
        use_bias=not block.normalised,
        name=f"{block.name}_conv",
    )
    return _normalise(conv, x, block)


def _separable(x: Any, block: Block) -> Any:
    x = _normalise(_depthwise(block), x, block)
    return _normalise(_pointwise(block, block.filters, "point"), x, block)


def _inverted(x: Any, block: Block) -> Any:
    given = x
    x = _normalise(_pointwise(block, block.hidden, "expand"), x, block)
    x = _normalise(_depthwise(block), x, block)
    if block.squeeze:
        x = _excite(x, block)
    x = _normalise(_pointwise(block, block.filters, "project"), x, block, active=False)
    return layers.Add(name=f"{block.name}_add")([given, x]) if block.shortcut else x


def _excite(x: Any, block: Block) -> Any:
    """Weigh the channels: Hu et al. 2018, "Squeeze-and-excitation networks", section 3."""
    mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{block.name}_squeeze")(x)
    few = layers.Conv2D(block.squeeze, 1, activation="relu", name=f"{block.name}_reduce")(mean)
    excite = layers.Conv2D(block.hidden, 1, activation="sigmoid", name=f"{block.name}_excite")
    return layers.Multiply(name=f"{block.name}_weigh")([x, excite(few)])


def _depthwise(block: Block) -> Any:
    return layers.DepthwiseConv2D(
        block.kernel,
        block.stride,
        padding="same",
        use_bias=not block.normalised,
        name=f"{block.name}_depth",
    )


def _pointwise(block: Block, filters: int, what: str) -> Any:
    return layers.Conv2D(filters, 1, use_bias=not block.normalised, name=f"{block.name}_{what}")


def _normalise(convolution: Any, x: Any, block: Block, active: bool = True) -> Any:
    name, x = convolution.name, convolution(x)
    if block.normalised:
        x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return layers.Activation(block.activation, name=f"{name}_active")(x) if active else x


def _pool(x: Any, block: Block) -> Any:
    if block.pooling == "none":
        return x
    pool = layers.MaxPooling2D if block.pooling == "max" else layers.AveragePooling2D
    return pool(2, name=f"{block.name}_{block.pooling}")(x)


_BUILDERS = {"convolution": _convolution, "separable": _separable, "inverted": _inverted}
