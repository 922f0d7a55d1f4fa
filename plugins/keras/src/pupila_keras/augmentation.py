"""Takes layers that alter images at random, which only training needs, out of a model."""

from __future__ import annotations

from typing import Any, cast

from pupila.keras_graphs import Calls
from pupila_keras.keras_imports import import_keras

_NAMES = ("AugMix", "CutMix", "MixUp", "RandAugment")


def without_augmentation(model: Any) -> Any:
    """Return a Keras 3 model without layers that alter images at random, at any depth.

    When such a layer is exported, it goes on altering images, or cannot be converted
    (https://github.com/keras-team/keras/issues/19108). A model without them is returned as it is.
    `RandomCrop` stays, since it crops images outside of training too.
    """
    named = cast("dict[str, type]", vars(import_keras().layers))
    kinds = tuple(
        kind
        for name, kind in named.items()
        if name in _NAMES or (name.startswith("Random") and name != "RandomCrop")
    )
    if not any(isinstance(layer, kinds) for layer in model._flatten_layers()):
        return model
    calls = Calls(model, without=kinds)
    return import_keras().Model(calls.image, calls.output, name=model.name)
