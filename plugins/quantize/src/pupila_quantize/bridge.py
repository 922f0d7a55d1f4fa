"""The border to the Keras 2 line (`tf_keras`), which alone TensorFlow Model Optimization takes.

A Keras 3 model is translated layer by layer into one flat functional model of `tf_keras`; its
weights are set, and both must give the same answers. Preprocessing at the head is split off first
and told as a matrix: see `Preprocessing`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pupila import PupilaError
from pupila.errors import join_names
from pupila.keras_files import import_keras
from pupila.keras_graphs import flatten

keras = import_keras()

_TOLERANCE = 1e-5
"""Largest difference of outputs, relative to the largest output where that exceeds one."""

_PROBES = 4
_BRIGHTEST = 255.0

_RENAMED = {"negative_slope": "alpha"}
_DROPPED = ("_initializer", "_regularizer", "_constraint")
"""Weights follow; and a constraint or penalty was for the training that is over."""

_ACTIVATIONS = {"silu": "swish"}
_FAMILIAR = frozenset({"elu", "exponential", "gelu", "linear", "relu", "selu", "sigmoid"}) | {
    *("softmax", "softplus", "softsign", "swish", "tanh", "relu6")
}
"""Activations that mean the same in both lines. `hard_sigmoid` does not; others are new."""

_RAW_OPERATIONS = {"Add": "Add", "Multiply": "Multiply", "Subtract": "Subtract"}
"""What `x + y` in a graph is called, and the layer that does the same."""


@cache
def import_tf_keras() -> Any:
    """Return the `tf_keras` module; it lives beside Keras 3 in one process."""
    import_keras()
    return import_module("tf_keras")


@cache
def import_tfmot() -> Any:
    """Return `tensorflow_model_optimization`, and leave the process as it was.

    Importing it sets `TF_USE_LEGACY_KERAS`, which child processes would inherit, and which would
    decide what TensorFlow means by Keras if that had not been asked for before.
    """
    import_tf_keras()
    tensorflow = import_module("tensorflow")
    with _environment_kept():
        getattr(tensorflow, "keras").__name__  # noqa: B009, B018 - settles it as Keras 3
        return import_module("tensorflow_model_optimization")


@contextmanager
def _environment_kept() -> Generator[None]:
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    try:
        yield
    finally:
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
        if before is not None:
            os.environ["TF_USE_LEGACY_KERAS"] = before


@dataclass(frozen=True)
class Preprocessing:
    """What a model does to each pixel before its first layer: `pixel @ matrix + offset`.

    All that models of `keras.applications` do is of this kind: scaling, subtracting means,
    swapping red and blue.
    """

    matrix: NDArray[np.float32]
    """`(3, channels)`."""
    offset: NDArray[np.float32]
    """`(channels,)`."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value that a pixel in 0..255 can become."""
        reached = self.matrix * _BRIGHTEST
        low = np.minimum(reached, 0).sum(axis=0) + self.offset
        high = np.maximum(reached, 0).sum(axis=0) + self.offset
        return float(low.min()), float(high.max())


def split_preprocessing(model: Any) -> tuple[Preprocessing | None, Any]:
    """Return what a Keras 3 model does to pixels first, and the rest of it, flat.

    The head is whatever comes before the first layer that has learned weights or looks at more
    than one pixel. None where there is no head.

    Raises:
        PupilaError: the model is no graph, a weight is no number, or the head is not the same
            affine map of each pixel.
    """
    flat = flatten(model)
    _check_weights(flat)
    cut = _cut(flat)
    if cut is flat.inputs[0]:
        return None, flat
    head = keras.Model(flat.inputs[0], cut)
    return _affine(head), keras.Model(cut, flat.outputs[0], name=flat.name)


def to_tf_keras(model: Any) -> Any:
    """Return one flat functional `tf_keras` model with the weights and answers of a Keras 3 one.

    Raises:
        PupilaError: the model is no graph, a layer or activation has no counterpart, a weight is
            no number, or the answers differ.
    """
    flat = flatten(model)
    _check_weights(flat)
    translated = _translated(flat)
    _check_same(flat, translated)
    return translated


def answers(model: Any, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the outputs `(n, columns)` of a model of either line, in inference."""
    return np.asarray(model(images, training=False), np.float32)


def relative_difference(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return the largest difference, relative to the largest output where that exceeds one."""
    return float(np.abs(expected - found).max() / max(1.0, np.abs(expected).max()))


def _cut(flat: Any) -> Any:
    """Return the tensor between head and body."""
    (image,) = flat.inputs
    seen = {id(image)}
    for node in _nodes(flat):
        if _is_of_head(node.operation) and all(id(each) in seen for each in node.input_tensors):
            seen |= {id(each) for each in node.output_tensors}
    crossing = {
        id(each): each
        for node in _nodes(flat)
        if any(id(each) not in seen for each in node.output_tensors)
        for each in node.input_tensors
        if id(each) in seen
    }
    if len(crossing) != 1:
        raise PupilaError(
            f"The preprocessing of the model {flat.name!r} hands {len(crossing)} tensors on to its "
            f"layers, where one picture was expected: scale the picture once, before all layers."
        )
    return next(iter(crossing.values()))


def _nodes(flat: Any) -> list[Any]:
    """Return the calls of a flat model's graph in order, its inputs left out."""
    ordered = sorted(flat._nodes_by_depth.items(), reverse=True)
    nodes = [node for _, group in ordered for node in group]
    return [node for node in nodes if not isinstance(node.operation, keras.layers.InputLayer)]


def _is_of_head(operation: Any) -> bool:
    layers = keras.layers
    scaling = (layers.Rescaling, layers.Normalization, layers.Dropout, layers.GaussianNoise)
    augmenting = type(operation).__name__.startswith("Random")
    raw = not isinstance(operation, layers.Layer)
    return raw or augmenting or isinstance(operation, scaling)


def _affine(head: Any) -> Preprocessing:
    """Find the matrix by asking for black and three primaries, then try it on drawn pictures.

    Raises:
        PupilaError: the head is no such map.
    """
    (height, width, channels) = head.inputs[0].shape[1:]
    random = np.random.default_rng(0)
    drawn = random.uniform(0, _BRIGHTEST, (_PROBES, height, width, channels)).astype(np.float32)
    colours = np.vstack([np.zeros((1, channels)), _BRIGHTEST * np.eye(channels)])
    pictures = np.broadcast_to(colours[:, None, None], (channels + 1, height, width, channels))
    told = answers(head, pictures.astype(np.float32))
    if told.ndim == 4 and told.shape[1:3] == (height, width):
        offset = told[0, 0, 0]
        matrix = (told[1:, 0, 0] - offset) / np.float32(_BRIGHTEST)
        if relative_difference(answers(head, drawn), drawn @ matrix + offset) <= _TOLERANCE:
            return Preprocessing(matrix, offset)
    names = [node.operation.name for node in _nodes(head)]
    raise PupilaError(
        f"The preprocessing of the model ({join_names(names)}) is not the same affine map of every "
        f"pixel, which is all that can be kept in int8: leave scaling and subtraction of means in "
        f"the model, and do the rest outside it."
    )


def _check_weights(flat: Any) -> None:
    for layer in flat.layers:
        for weight in layer.weights:
            if not np.isfinite(np.asarray(weight)).all():
                raise PupilaError(
                    f"Layer {layer.name!r} has weights that are no numbers (NaN or infinite) in "
                    f"{weight.name!r}: train the model again, or take an earlier checkpoint."
                )


def _check_same(flat: Any, translated: Any) -> None:
    shape = [side or 1 for side in flat.inputs[0].shape[1:]]
    drawn = np.random.default_rng(0).uniform(-1, 1, (_PROBES, *shape)).astype(np.float32)
    difference = relative_difference(answers(flat, drawn), answers(translated, drawn))
    if not difference <= _TOLERANCE:  # so written that "not a number" is refused too
        raise PupilaError(
            f"Rebuilt in tf_keras, the model answers differently: by {difference:.2g}, and no more "
            f"than {_TOLERANCE:g} was expected. A layer means something else there: replace "
            f"activations such as gelu by relu, or quantise after training by quantize-int8."
        )


def _translated(flat: Any) -> Any:
    """Call the counterpart of every layer; a layer that is called twice has one counterpart."""
    tf_keras = import_tf_keras()
    (given,) = flat.inputs
    image = tf_keras.Input(batch_shape=given.shape, dtype="float32", name=given.name)
    made: dict[int, tuple[Any, Any]] = {}

    def call(operation: Any, *arguments: Any, **settings: Any) -> Any:
        if id(operation) not in made:
            made[id(operation)] = operation, _counterpart(operation)
        layer = made[id(operation)][1]
        if not isinstance(operation, keras.layers.Layer):
            return layer(_two_tensors(operation, arguments, settings))
        return layer(*arguments)

    output = flat._run_through_graph(image, call_fn=call)
    (output,) = keras.tree.flatten(output)
    for layer, counterpart in made.values():
        if isinstance(layer, keras.layers.Layer):
            counterpart.set_weights(layer.get_weights())
    return tf_keras.Model(image, output, name=flat.name)


def _two_tensors(operation: Any, arguments: Any, settings: Any) -> list[Any]:
    """Return the tensors of a raw operation such as `x + y`.

    Raises:
        PupilaError: one of them is a number.
    """
    given = [*arguments, *settings.values()]
    if len(given) == 2 and all(hasattr(each, "shape") for each in given):
        return given
    raise _unknown(operation.name, f"the operation {type(operation).__name__} on a constant")


def _counterpart(operation: Any) -> Any:
    """Return the `tf_keras` layer for a Keras 3 layer or raw operation, without weights."""
    layers, kind = import_tf_keras().layers, cast("type[Any]", type(operation))
    if not isinstance(operation, keras.layers.Layer):
        if kind.__name__ not in _RAW_OPERATIONS:
            raise _unknown(operation.name, f"the operation {kind.__name__}")
        return getattr(layers, _RAW_OPERATIONS[kind.__name__])(name=operation.name)
    if not kind.__module__.startswith("keras.") or not hasattr(layers, kind.__name__):
        raise _unknown(operation.name, f"a {kind.__name__}")
    counterpart = getattr(layers, kind.__name__)
    return counterpart.from_config(_settings(operation, counterpart))


def _settings(layer: Any, counterpart: Any) -> dict[str, Any]:
    known = _parameters(counterpart)
    settings: dict[str, Any] = {}
    for key, value in layer.get_config().items():
        key = key if key in known else _RENAMED.get(key, key)
        if key in known and not key.endswith(_DROPPED):
            settings[key] = _activation(layer, value) if key.endswith("activation") else value
    return settings | {"name": layer.name, "dtype": "float32"}


def _activation(layer: Any, value: Any) -> str:
    """Return the name of an activation in `tf_keras`.

    Raises:
        PupilaError: it has another meaning there, or none.
    """
    name = value if isinstance(value, str) else _name_of(value)
    name = _ACTIVATIONS.get(name, name)
    if name not in _FAMILIAR:
        raise _unknown(layer.name, f"a {type(layer).__name__} with the activation {name!r}")
    return name


def _name_of(value: Any) -> str:
    """Name a serialised activation; None is none."""
    if value is None:
        return "linear"
    return str(value.get("registered_name") or value.get("config") or value.get("class_name"))


def _parameters(kind: Any) -> set[str]:
    constructors = [each.__init__ for each in kind.__mro__ if "__init__" in vars(each)]
    return {name for each in constructors for name in inspect.signature(each).parameters}


def _unknown(name: str, what: str) -> PupilaError:
    return PupilaError(
        f"Layer {name!r} is {what}, which has no counterpart that can be trained for int8: replace "
        f"it by a layer of Keras (ReLU, Conv2D, BatchNormalization, …), or quantise the model "
        f"after training, by export-tflite and quantize-int8."
    )
