"""Small architectures that take raw RGB 0..255, return logits, and lose little in int8.

Two of them, `conv-32-64-8` and `conv-64-64-128`, are nets of the study behind Pupila (A. García
Perdomo, bachelor's thesis, Universidad de La Laguna, 2023).

All activations are ReLU or ReLU6, whose range suits a single int8 scale. Every convolution, except
in the study's two nets, is followed by batch normalisation, which a converter folds into the
kernel. Squeeze-and-excitation and swish lose most when quantised to int8, so these architectures do
not use them. The Lite variants of EfficientNet leave them out for the same reason. Attention is
followed by batch normalisation too: layer normalisation computes a mean and a variance for each
position, in int8 with few bits.
"""

from __future__ import annotations

from typing import Any

from pupila import InputSpec, PupilaError
from pupila.keras_files import import_keras

keras = import_keras()
layers = keras.layers

_SMALLEST_SIDE = 32
"""Shortest side of an input in pixels: five halvings leave one position."""

_MOMENTUM = 0.9
"""Momentum of batch normalisation.

A small dataset has about 15 training steps per epoch. With Keras' default of 0.99, the running
statistics would lag seven epochs behind the weights, and validation metrics would jump.
"""

_DROPOUT = 0.2


def conv_32_64_8(input: InputSpec, classes: int) -> Any:
    """Build the study's student: two 3×3 convolutions with pooling, and a dense layer of 8 units.

    Its first dense kernel grows with the input size: 0.48 M parameters at 128 px, 1.5 M at 224 px.

    Raises:
        PupilaError: a side is shorter than 32 px.
    """
    image, x = _picture(input)
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, activation="relu", name=f"conv_{filters}")(x)
        x = layers.MaxPooling2D(name=f"pool_{filters}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(8, activation="relu", name="dense_8")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name="conv_32_64_8")


def conv_64_64_128(input: InputSpec, classes: int) -> Any:
    """Build the study's filter, "is it a fundus photograph?": three 3×3 convolutions and a softmax.

    The study states the numbers of filters, the size in bytes (4 MB) and the softmax. With same
    padding, and pooling after the first two convolutions, the size is about the same: 0.92 M
    parameters at 224 px, 3.7 MB as float32. Most parameters are in the last kernel, which grows
    with the input size. The function returns logits; training adds the softmax.

    Raises:
        PupilaError: a side is shorter than 32 px.
    """
    image, x = _picture(input)
    for number, filters in enumerate((64, 64, 128), 1):
        convolution = layers.Conv2D(
            filters, 3, padding="same", activation="relu", name=f"conv_{number}"
        )
        x = convolution(x)
        if number < 3:
            x = layers.MaxPooling2D(name=f"pool_{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name="conv_64_64_128")


def mobile_xs(input: InputSpec, classes: int) -> Any:
    """Build a student of depthwise separable convolutions with 0.13 M parameters.

    Howard et al. 2017, "MobileNets", section 3.1, but narrower, and with nine blocks instead of
    thirteen.

    Raises:
        PupilaError: a side is shorter than 32 px.
    """
    image, x = _picture(input)
    x = _normalise(layers.Conv2D(16, 3, 2, **_BARE, name="stem"), x)
    blocks = ((32, 1), (48, 2), (48, 1), (96, 2), (96, 1), (144, 2), (144, 1), (144, 1), (280, 2))
    for number, (filters, strides) in enumerate(blocks, 1):
        name = f"block_{number}"
        x = _normalise(layers.DepthwiseConv2D(3, strides, **_BARE, name=f"{name}_depthwise"), x)
        x = _normalise(layers.Conv2D(filters, 1, **_BARE, name=f"{name}_pointwise"), x)
    return keras.Model(image, _head(x, classes), name="mobile_xs")


def mobile_s(input: InputSpec, classes: int) -> Any:
    """Build a student of inverted residuals with linear bottlenecks, with 0.4 M parameters.

    Sandler et al. 2018, "MobileNetV2", table 2, but with narrower stages, and a last convolution of
    320 instead of 1280 filters.

    Raises:
        PupilaError: a side is shorter than 32 px.
    """
    image, x = _picture(input)
    x = _normalise(layers.Conv2D(16, 3, 2, **_BARE, name="stem"), x)
    x = _inverted_residual(x, 16, 1, 1, "stage_0_block_0")
    stages = ((24, 2, 2), (40, 2, 2), (64, 3, 2), (88, 2, 2))
    for stage, (filters, repeats, strides) in enumerate(stages, 1):
        for block in range(repeats):
            name = f"stage_{stage}_block_{block}"
            x = _inverted_residual(x, filters, 1 if block else strides, 6, name)
    x = _normalise(layers.Conv2D(320, 1, **_BARE, name="last"), x)
    return keras.Model(image, _head(x, classes), name="mobile_s")


def residual_m(input: InputSpec, classes: int) -> Any:
    """Build a student of plain 3×3 convolutions with identity shortcuts, with 2.8 M parameters.

    He et al. 2016, "Deep residual learning", ResNet-18 at half its width, with a 3×3 stem.

    Raises:
        PupilaError: a side is shorter than 32 px.
    """
    image, x = _picture(input)
    x = _normalise(layers.Conv2D(32, 3, 2, **_BARE, name="stem"), x)
    x = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
    for stage, filters in enumerate((32, 64, 128, 256)):
        for block in range(2):
            strides = 2 if stage and not block else 1
            x = _residual(x, filters, strides, f"stage_{stage}_block_{block}")
    return keras.Model(image, _head(x, classes), name="residual_m")


def hybrid_s(input: InputSpec, classes: int) -> Any:
    """Build a student of inverted residuals, then attention between positions; 0.4 M parameters.

    Graham et al. 2021, "LeViT", section 4: convolutions halve the image four times, and only then
    each position attends to all others, with batch normalisation in the place of layer
    normalisation. Each block is x + norm(attention(x)), then x + norm(project(relu6(expand(x)))).
    Unlike there, the resolution stays as it is between blocks, keys are as wide as values, and
    positions have no embedding: the padding of the convolutions tells them apart.

    Raises:
        PupilaError: a side is shorter than 32 px.
    """
    image, x = _picture(input)
    x = _normalise(layers.Conv2D(16, 3, 2, **_BARE, name="stem"), x)
    x = _inverted_residual(x, 16, 1, 1, "stage_0_block_0")
    for stage, (filters, repeats) in enumerate(((24, 2), (40, 2), (96, 1)), 1):
        for block in range(repeats):
            x = _inverted_residual(x, filters, 1 if block else 2, 4, f"stage_{stage}_block_{block}")
    for block in range(4):
        x = _attention(x, 4, f"attention_{block}")
        x = _inner_network(x, 2, f"attention_{block}")
    x = _normalise(layers.Conv2D(320, 1, **_BARE, name="last"), x)
    return keras.Model(image, _head(x, classes), name="hybrid_s")


_BARE = {"padding": "same", "use_bias": False}
"""Arguments of a convolution before batch normalisation, which has its own bias."""


def _picture(input: InputSpec) -> tuple[Any, Any]:
    """Return the input tensor in 0..255, and the same tensor scaled to -1..1."""
    if min(input.height, input.width) < _SMALLEST_SIDE:
        raise PupilaError(
            f"A student cannot read {input.height} x {input.width} px: both sides must be at least "
            f"{_SMALLEST_SIDE} px. Raise `size`."
        )
    image = keras.Input(input.shape, name="image")
    return image, layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)


def _normalise(convolution: Any, x: Any, activation: str | None = "relu6") -> Any:
    """Apply a convolution, batch normalisation and, where given, an activation."""
    name = convolution.name
    x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(convolution(x))
    return layers.Activation(activation, name=f"{name}_{activation}")(x) if activation else x


def _head(x: Any, classes: int) -> Any:
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(_DROPOUT, name="dropout")(x)
    return layers.Dense(classes, name="logits")(x)


def _inverted_residual(x: Any, filters: int, strides: int, expansion: int, name: str) -> Any:
    """Apply an inverted residual: widen, filter each channel, narrow without an activation.

    The input is added to the result if both have the same shape.
    """
    shortcut, width = x, x.shape[-1] * expansion
    if expansion > 1:
        x = _normalise(layers.Conv2D(width, 1, **_BARE, name=f"{name}_expand"), x)
    x = _normalise(layers.DepthwiseConv2D(3, strides, **_BARE, name=f"{name}_depthwise"), x)
    x = _normalise(layers.Conv2D(filters, 1, **_BARE, name=f"{name}_project"), x, activation=None)
    if x.shape == shortcut.shape:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def _attention(x: Any, heads: int, name: str) -> Any:
    """Add to each position of a feature map what it reads from all positions."""
    height, width, filters = x.shape[1:]
    sequence = layers.Reshape((height * width, filters), name=f"{name}_sequence")(x)
    attend = layers.MultiHeadAttention(heads, filters // heads, name=name)
    y = layers.Reshape((height, width, filters), name=f"{name}_map")(attend(sequence, sequence))
    y = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(y)
    return layers.Add(name=f"{name}_add")([x, y])


def _inner_network(x: Any, expansion: int, name: str) -> Any:
    """Add to each position what two 1×1 convolutions make of it."""
    filters = x.shape[-1]
    y = _normalise(layers.Conv2D(filters * expansion, 1, **_BARE, name=f"{name}_expand"), x)
    y = _normalise(layers.Conv2D(filters, 1, **_BARE, name=f"{name}_project"), y, activation=None)
    return layers.Add(name=f"{name}_inner_add")([x, y])


def _residual(x: Any, filters: int, strides: int, name: str) -> Any:
    """Apply two 3×3 convolutions and a shortcut, which is projected where the shape changes."""
    shortcut = x
    if strides > 1 or x.shape[-1] != filters:
        project = layers.Conv2D(filters, 1, strides, **_BARE, name=f"{name}_project")
        shortcut = _normalise(project, x, activation=None)
    x = _normalise(layers.Conv2D(filters, 3, strides, **_BARE, name=f"{name}_first"), x)
    second = layers.Conv2D(filters, 3, **_BARE, name=f"{name}_second")
    x = _normalise(second, x, activation=None)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu6", name=f"{name}_relu6")(x)
