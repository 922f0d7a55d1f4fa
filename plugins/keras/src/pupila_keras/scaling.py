"""Builds the scaling of pixels into a Keras 3 model, in front of its first layer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

from pupila.pixel_scaling import PixelScaling
from pupila_keras.keras_imports import import_keras
from pupila_keras.reading import library_errors


def with_scaling(model: Any, scaling: PixelScaling) -> Any:
    """Return a model of raw RGB in 0..255 that answers as `model` does to scaled pixels.

    The layers, and so the weights, are those of `model`. BGR is turned to RGB in the first
    convolution, which then has its kernel in another order: `model` itself is no longer of use. If
    the first layers mix channels in another way, a convolution of 1 × 1 swaps the channels.
    """
    keras = import_keras()
    graph = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    swaps = scaling.reverses and not _reverse_kernel(graph)
    (old,) = graph.inputs
    with library_errors("the scaling of pixels cannot be built into it"):
        image = keras.Input(batch_shape=old.shape, dtype=old.dtype, name=old.name)
        x = _rescaling(graph, scaling)(image)
        x = _swap(graph)(x) if swaps else x
        return keras.Model(image, graph._run_through_graph(x), name=graph.name)


def _rescaling(graph: Any, scaling: PixelScaling) -> Any:
    factors, terms = (
        numbers[0] if len(set(numbers)) == 1 else list(numbers)
        for numbers in (scaling.factors, scaling.terms)
    )
    name = _free_name(graph, "preprocess")
    return import_keras().layers.Rescaling(factors, terms, dtype="float32", name=name)


def _swap(graph: Any) -> Any:
    """Return a layer that reverses the order of three channels."""
    kernel = np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3)
    layer = import_keras().layers.Conv2D(
        3, 1, use_bias=False, trainable=False, name=_free_name(graph, "swap_channels")
    )
    layer.build((None, None, None, 3))
    layer.set_weights([kernel])
    return layer


def _free_name(graph: Any, name: str) -> str:
    taken = {layer.name for layer in graph.layers}
    names = (f"{name}_{number}" if number else name for number in count())
    return next(free for free in names if free not in taken)


def _reverse_kernel(graph: Any) -> bool:
    """Reverse the input channels of the first convolution, and return whether that was possible.

    It is if nothing else sees the image, except layers that treat every channel alike, and if the
    convolution is called once.
    """
    layers = import_keras().layers
    alike = (
        layers.AveragePooling2D,
        layers.Cropping2D,
        layers.Dropout,
        layers.Identity,
        layers.MaxPooling2D,
        layers.ReLU,
        layers.Resizing,
        layers.ZeroPadding2D,
    )
    all_calls = [node.operation for node in _calls_at_all_depths(graph)]
    tensor = graph.inputs[0]
    while True:
        readers = [node for node in _calls(graph) if any(x is tensor for x in node.input_tensors)]
        if len(readers) != 1:
            return False
        (node,) = readers
        layer = node.operation
        if _is_model(layer):
            graph = _graph(layer)
            (tensor,) = graph.inputs
        elif type(layer) is layers.Conv2D:
            if layer.groups > 1 or sum(other is layer for other in all_calls) > 1:
                return False
            layer.kernel.assign(layer.kernel.numpy()[:, :, ::-1])
            return True
        elif isinstance(layer, alike):
            (tensor,) = node.output_tensors
        else:
            return False


def _calls_at_all_depths(graph: Any) -> Iterator[Any]:
    """Yield the calls of all layers, those in a nested model once for each call of the model."""
    for node in _calls(graph):
        yield node
        if _is_model(node.operation):
            yield from _calls_at_all_depths(_graph(node.operation))


def _calls(graph: Any) -> Iterator[Any]:
    return (node for nodes in graph._nodes_by_depth.values() for node in nodes)


def _is_model(layer: Any) -> bool:
    return isinstance(layer, import_keras().Model)


def _graph(model: Any) -> Any:
    return getattr(model, "_functional", model)  # a Sequential has one
