"""Builds a model without its weights, to find out how much memory the model would take."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

from pupila import PupilaError
from pupila_keras.keras_imports import import_keras, import_tensorflow
from pupila_keras.reading import library_errors
from pupila_keras.storage import check_unpacked, format_number

_BYTES = 4
"""Size of a number in float32."""
_MOST_BYTES_OF_A_MAP = 1 << 30
"""Largest allowed feature map in bytes: four times that of VGG16 at 1,024 x 1,024 pixels."""


def check_weights(config: dict[str, Any], source: Path) -> None:
    """Refuse a Keras 3 model whose layers would take far more memory than its file `source`.

    The check comes before loading, since Keras creates the variables of all layers before it looks
    for their weights. Here the model is built from its `config` in a stateless scope, in which
    variables have shapes but take no memory.

    Raises:
        PupilaError: layers or a feature map take too much memory, or Keras cannot build the model.
    """
    keras = import_keras()

    def build() -> Any:
        with keras.StatelessScope(initialize_variables=False):
            return _build(keras, deepcopy(config))

    with library_errors("Keras cannot read it"):
        sizes = _in_a_thread(lambda: _sizes(build()))
    check_sizes(*sizes, source)


def legacy_sizes(build: Callable[[], Any]) -> tuple[int, int]:
    """Return two sizes of a Keras 2 model, for `check_sizes`.

    The sizes are the number of weights, and the number of values in the largest feature map.
    `build` is a function that returns the model. The model is built in a graph that is never run,
    in which variables have shapes but take no memory.
    """

    def sizes() -> tuple[int, int]:
        with import_tensorflow().Graph().as_default():
            return _sizes(build())

    return _in_a_thread(sizes)


def _in_a_thread(sizes: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    """Call a function in a new thread, so that it does not change how Keras numbers layers here.

    Keras counts names of layers and variables separately in each thread.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(sizes).result()


def check_sizes(count: int, largest: int, source: Path) -> None:
    """Refuse a model with too many weights for its file's size, or with too large a feature map.

    `count` is the number of weights, `largest` is the number of values in the largest feature map
    of one image, and `source` is the file.

    Raises:
        PupilaError: the weights or the feature map take too much memory.
    """
    check_unpacked(_BYTES * count, source.stat().st_size)
    if _BYTES * largest > _MOST_BYTES_OF_A_MAP:
        raise PupilaError(
            f"a layer of it returns {format_number(_BYTES * largest)} bytes for one image: "
            f"expected at most {_MOST_BYTES_OF_A_MAP:,}. Save a model with smaller feature maps."
        )


def _sizes(model: Any) -> tuple[int, int]:
    """Return the number of weights of a model, and of values in its largest feature map."""
    count = int(model.count_params()) if model.built else 0
    return count, max((math.prod(shape) for shape in _shapes(model)), default=0)


def _shapes(model: Any) -> Iterator[list[int]]:
    """Yield the output shapes of all layers for one image; unknown sizes are 1.

    Layers of nested models are included.
    """
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _shapes(layer)
        for node in layer._inbound_nodes:
            outputs = import_module("tensorflow").nest.flatten(_outputs(node))
            yield from ([int(size or 1) for size in tensor.shape] for tensor in outputs)


def _outputs(node: Any) -> Any:
    """Return the outputs of a layer's call; Keras 2 and 3 name this attribute differently."""
    return node.output_tensors if hasattr(node, "output_tensors") else node.outputs


def _build(keras: Any, config: dict[str, Any]) -> Any:
    """Build a model from its config, as Keras does when it loads a file.

    The config in a `.keras` file names the module of the model's class; the config in an HDF5 file
    does not.
    """
    if "module" in config:
        return keras.saving.deserialize_keras_object(config, safe_mode=True)
    legacy = import_module("keras.src.legacy.saving.saving_utils")
    return legacy.model_from_config(config)
