"""Small image classifiers with attention, in the ways in which people build them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pupila.keras_files import import_keras

keras = import_keras()
layers, ops = keras.layers, keras.ops

_SIDE = 32
_WIDTH = 16
_POSITIONS = 16
"""Patches of an image: four rows of four."""


def attention_model(kind: str, classes: int = 2) -> Any:
    """Return a model of one of `ATTENTION_KINDS`, from raw RGB `(32, 32, 3)` to probabilities.

    All weights are drawn, those of biases and normalisations too, and are always the same.
    """
    return model_of(_KINDS[kind], classes)


def model_of(body: Callable[[Any], Any], classes: int = 2) -> Any:
    """Return a model that computes `body` of scaled pixels, and a softmax of the result."""
    image = keras.Input((_SIDE, _SIDE, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    answer = layers.Dense(classes, activation="softmax")(body(x))
    model = keras.Model(image, answer)
    drawn = np.random.default_rng(0)
    for weight in model.weights:
        lowest = -0.5 if len(weight.shape) > 1 else 0.2  # variances and scales are positive
        weight.assign(drawn.uniform(lowest, 0.5, weight.shape))
    return model


def _patches(x: Any) -> Any:
    """Return a sequence of patches `(batch, 16, 16)` of an image."""
    return layers.Reshape((_POSITIONS, _WIDTH))(layers.Conv2D(_WIDTH, 8, strides=8)(x))


def _block(x: Any) -> Any:
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, _WIDTH // 2, dropout=0.1)(y, y)])
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.Dense(2 * _WIDTH, activation="gelu")(y)
    return layers.Add()([x, layers.Dropout(0.1)(layers.Dense(_WIDTH)(y))])


def _transformer(x: Any) -> Any:
    """Dosovitskiy et al. 2021: a class token, positions, and blocks, one of them a nested model."""
    x = _patches(x)
    token = layers.Dense(_WIDTH)(ops.zeros_like(x[:, :1]))
    x = ops.concatenate([token, x], axis=1)
    numbers = ops.cumsum(ops.ones_like(x[:, :, 0], dtype="int32"), axis=1) - 1
    x = layers.Add()([x, layers.Embedding(_POSITIONS + 1, _WIDTH)(numbers)])
    sequence = keras.Input(x.shape[1:])
    x = keras.Model(sequence, _block(sequence), name="encoder")(_block(x))
    return layers.LayerNormalization(epsilon=1e-6)(x)[:, 0]


def _hybrid(x: Any) -> Any:
    """Mehta and Rastegari 2022, MobileViT: attention between patches, side by side in a map."""
    x = layers.Conv2D(_WIDTH, 4, strides=4, use_bias=False)(x)
    x = layers.Activation("silu")(layers.BatchNormalization()(x))
    y = layers.Conv2D(_WIDTH, 1)(layers.DepthwiseConv2D(3, padding="same")(x))
    y = layers.Reshape((4, 2, 4, 2, _WIDTH))(y)
    y = layers.Reshape((4, _POSITIONS, _WIDTH))(layers.Permute((2, 4, 1, 3, 5))(y))
    y = layers.Reshape((2, 2, 4, 4, _WIDTH))(_block(y))
    y = layers.Reshape((8, 8, _WIDTH))(layers.Permute((3, 1, 4, 2, 5))(y))
    x = layers.Conv2D(_WIDTH, 3, padding="same", activation="relu")(layers.Concatenate()([x, y]))
    return layers.GlobalAveragePooling2D()(x)


def _attentions(x: Any) -> Any:
    """Return the mean over the positions of what each other attention layer of Keras gives."""
    x = _patches(x)
    query, key, value = (layers.Dense(_WIDTH)(x) for _ in range(3))
    grouped = layers.GroupQueryAttention(8, 4, 2)(query, value, key)
    scaled = layers.Attention(use_scale=True)([query, value, key])
    added = layers.AdditiveAttention()([query, value, key])
    shares = layers.Softmax()(layers.Dot((2, 2))([value, key]))
    x = layers.Concatenate()([grouped, scaled, added, layers.Dot((2, 1))([shares, value])])
    return layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))


def _operations(x: Any) -> Any:
    """Attention of operations of Keras and einsum layers, without a layer of attention."""
    x = _patches(x)
    query, key = (
        layers.EinsumDense("abc,cde->abde", (_POSITIONS, 2, 8), bias_axes="de")(x) for _ in range(2)
    )
    value = ops.transpose(ops.reshape(layers.Dense(_WIDTH)(x), (-1, 16, 2, 8)), (0, 2, 1, 3))
    shares = ops.softmax(ops.einsum("bqhd,bkhd->bhqk", query, key) / 8**0.5, axis=-1)
    y = ops.transpose(ops.matmul(shares, value), (0, 2, 1, 3))
    y = layers.EinsumDense("bqhd,hdo->bqo", (_POSITIONS, _WIDTH), bias_axes="o")(y)
    return layers.GlobalAveragePooling1D()(x + y)


_KINDS: dict[str, Callable[[Any], Any]] = {
    "transformer": _transformer,
    "hybrid": _hybrid,
    "attentions": _attentions,
    "operations": _operations,
}

ATTENTION_KINDS = tuple(_KINDS)
"""Names of the kinds of models that `attention_model` returns."""
