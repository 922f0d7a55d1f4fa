"""Builds a model without its weights, to know what they and its feature maps would take."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

from pupila import PupilaError
from pupila_keras.border import import_keras, import_tensorflow
from pupila_keras.reading import library
from pupila_keras.storage import check_unpacked, written_out

_BYTES = 4
"""Of a number in float32."""
_MOST_BYTES_OF_A_MAP = 1 << 30
"""Ten times the largest feature map of VGG16 at 1,024 x 1,024 pixels."""


def check_weights(config: dict[str, Any], source: Path) -> None:
    """Refuse a model whose layers would take far more memory than the file has weights for.

    Keras makes the variables of all layers before it looks for their weights. Here it makes none:
    in a stateless scope they have shapes only.

    Raises:
        PupilaError: it does, or a feature map takes too much, or Keras cannot build it.
    """
    keras = import_keras()

    def build() -> Any:
        with keras.StatelessScope(initialize_variables=False):
            return _built(keras, deepcopy(config))

    with library("Keras cannot read it"):
        sizes = _in_a_thread(lambda: _sizes(build()))
    check_sizes(*sizes, source)


def legacy_sizes(build: Callable[[], Any]) -> tuple[int, int]:
    """Return what `check_sizes` judges of a model of Keras 2, which `build` builds.

    In a graph that is never run, variables have shapes only.
    """

    def sizes() -> tuple[int, int]:
        with import_tensorflow().Graph().as_default():
            return _sizes(build())

    return _in_a_thread(sizes)


def _in_a_thread(sizes: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    """Return what a function returns: Keras counts names and variables by thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(sizes).result()


def check_sizes(count: int, largest: int, source: Path) -> None:
    """Refuse so many weights of a file, or a feature map of so many numbers.

    Raises:
        PupilaError: they take far more memory than a file of its size has use for.
    """
    check_unpacked(_BYTES * count, source.stat().st_size)
    if _BYTES * largest > _MOST_BYTES_OF_A_MAP:
        raise PupilaError(
            f"a layer of it gives {written_out(_BYTES * largest)} bytes for one image: expected at "
            f"most {_MOST_BYTES_OF_A_MAP:,}. Save a model of smaller feature maps."
        )


def _sizes(model: Any) -> tuple[int, int]:
    """Return how many weights a model has, and how many numbers its largest feature map."""
    count = int(model.count_params()) if model.built else 0
    return count, max((math.prod(shape) for shape in _shapes(model)), default=0)


def _shapes(model: Any) -> Iterator[list[int]]:
    """Yield the shapes that layers give one image, at any depth; open sizes count as one."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _shapes(layer)
        for node in layer._inbound_nodes:
            outputs = import_module("tensorflow").nest.flatten(_outputs(node))
            yield from ([int(size or 1) for size in each.shape] for each in outputs)


def _outputs(node: Any) -> Any:
    """What a call gave: the two lines name it differently."""
    return node.output_tensors if hasattr(node, "output_tensors") else node.outputs


def _built(keras: Any, config: dict[str, Any]) -> Any:
    """Build a model as Keras does: HDF5 files do not say of which module the model's class is."""
    if "module" in config:
        return keras.saving.deserialize_keras_object(config, safe_mode=True)
    of_hdf5 = import_module("keras.src.legacy.saving.saving_utils")
    return of_hdf5.model_from_config(config)
