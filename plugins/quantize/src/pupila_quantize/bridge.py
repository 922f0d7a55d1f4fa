"""Translates Keras 3 models to Keras 2 (`tf_keras`), which TensorFlow Model Optimization needs.

A model is translated layer by layer into one flat functional model of `tf_keras`, without nested
models. The weights are copied, and both models must give the same outputs. The preprocessing at
the start of the model is split off first and returned as a matrix: see `Preprocessing`.
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
"""Largest difference of outputs that counts as equal; see `relative_difference`."""

_PROBES = 4
_BRIGHTEST = 255.0

_RENAMED = {"negative_slope": "alpha"}
_DROPPED = ("_initializer", "_regularizer", "_constraint")
"""Suffixes of settings that are not copied: initialisers, regularisers and constraints."""

_ACTIVATIONS = {"silu": "swish"}
_FAMILIAR = frozenset({"elu", "exponential", "gelu", "linear", "relu", "selu", "sigmoid"}) | {
    *("softmax", "softplus", "softsign", "swish", "tanh", "relu6")
}
"""Activations that are equal in Keras 2 and 3. `hard_sigmoid` differs; others are new in 3."""

_WITH_WEIGHTS = (
    *(keras.layers.Conv2D, keras.layers.Conv2DTranspose, keras.layers.DepthwiseConv2D),
    *(keras.layers.SeparableConv2D, keras.layers.Dense, keras.layers.BatchNormalization),
    *(keras.layers.LayerNormalization, keras.layers.GroupNormalization, keras.layers.PReLU),
    *(keras.layers.Attention, keras.layers.AdditiveAttention),
)
"""Layers whose weights are trained for int8, or are a few factors that stay in float.

The kernels of other layers, such as `MultiHeadAttention`, would stay in float.
"""

_RAW_OPERATIONS = {"Add": "Add", "Multiply": "Multiply", "Subtract": "Subtract"}
"""For the name of each operation such as `x + y`: the name of the layer that replaces it."""


@cache
def import_tf_keras() -> Any:
    """Return the `tf_keras` module, which works beside Keras 3 in one process."""
    import_keras()
    return import_module("tf_keras")


@cache
def import_tfmot() -> Any:
    """Import and return `tensorflow_model_optimization`, undoing its change of the environment.

    The import sets the environment variable `TF_USE_LEGACY_KERAS`. Child processes would inherit
    the variable. In this process, `tensorflow.keras` would become Keras 2. To prevent this, the
    function uses `tensorflow.keras` before the import: the first use decides between Keras 2 and 3.
    """
    import_tf_keras()
    tensorflow = import_module("tensorflow")
    with _preserve_environment():
        getattr(tensorflow, "keras").__name__  # noqa: B009, B018 - fixes it as Keras 3
        return import_module("tensorflow_model_optimization")


@contextmanager
def _preserve_environment() -> Generator[None]:
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    try:
        yield
    finally:
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
        if before is not None:
            os.environ["TF_USE_LEGACY_KERAS"] = before


@dataclass(frozen=True)
class Preprocessing:
    """Affine map of each pixel before a model's first layer: `pixel @ matrix + offset`.

    This covers the models of `keras.applications`, which scale, subtract means, and swap red and
    blue.
    """

    matrix: NDArray[np.float32]
    """Factors from RGB to the first layer's channels, `(3, channels)`."""
    offset: NDArray[np.float32]
    """Offsets, `(channels,)`."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest output value for pixels in 0..255."""
        contributions = self.matrix * _BRIGHTEST
        low = np.minimum(contributions, 0).sum(axis=0) + self.offset
        high = np.maximum(contributions, 0).sum(axis=0) + self.offset
        return float(low.min()), float(high.max())


def split_preprocessing(model: Any) -> tuple[Preprocessing | None, Any]:
    """Split a Keras 3 model into its preprocessing of pixels, and the rest as a flat model.

    The preprocessing is everything before the first layer that has trained weights or reads more
    than one pixel; None if nothing comes before that layer.

    Raises:
        PupilaError: the model is not a graph of layers, a weight is not finite, or the
            preprocessing is not the same affine map for every pixel.
    """
    flat = flatten(model)
    _check_weights(flat)
    boundary = _head_output(flat)
    if boundary is flat.inputs[0]:
        return None, flat
    head = keras.Model(flat.inputs[0], boundary)
    return _affine(head), keras.Model(boundary, flat.outputs[0], name=flat.name)


def to_tf_keras(model: Any) -> Any:
    """Return a flat functional `tf_keras` model with the weights and outputs of a Keras 3 model.

    Raises:
        PupilaError: the model is not a graph of layers, a layer or activation has no counterpart
            in `tf_keras`, a weight is not finite, or the outputs of the two models differ.
    """
    flat = flatten(model)
    _check_weights(flat)
    translated = _translate(flat)
    _check_same(flat, translated)
    return translated


def predict(model: Any, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the outputs `(images, columns)` of a Keras 2 or Keras 3 model in inference mode."""
    return np.asarray(model(images, training=False), np.float32)


def relative_difference(expected: NDArray[np.float32], actual: NDArray[np.float32]) -> float:
    """Return the largest absolute difference between two arrays of outputs.

    If the largest absolute expected output exceeds 1, the difference is divided by that output.
    """
    return float(np.abs(expected - actual).max() / max(1.0, np.abs(expected).max()))


def _head_output(flat: Any) -> Any:
    """Return the tensor at which preprocessing ends and the rest begins."""
    (image,) = flat.inputs
    in_head = {id(image)}
    for node in _nodes(flat):
        inputs = node.input_tensors
        if _is_of_head(node.operation) and all(id(tensor) in in_head for tensor in inputs):
            in_head |= {id(tensor) for tensor in node.output_tensors}
    crossing = {
        id(tensor): tensor
        for node in _nodes(flat)
        if any(id(output) not in in_head for output in node.output_tensors)
        for tensor in node.input_tensors
        if id(tensor) in in_head
    }
    if len(crossing) != 1:
        raise PupilaError(
            f"The preprocessing of the model {flat.name!r} passes {len(crossing)} tensors to its "
            f"layers, where one image was expected: scale the image once, before all layers."
        )
    return next(iter(crossing.values()))


def _nodes(flat: Any) -> list[Any]:
    """Return the calls in a flat model's graph in order, without the inputs."""
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
    """Compute the matrix from black and the three primary colours, and test it on random images.

    Raises:
        PupilaError: the head is not the same affine map for every pixel.
    """
    (height, width, channels) = head.inputs[0].shape[1:]
    random = np.random.default_rng(0)
    drawn = random.uniform(0, _BRIGHTEST, (_PROBES, height, width, channels)).astype(np.float32)
    colours = np.vstack([np.zeros((1, channels)), _BRIGHTEST * np.eye(channels)])
    pictures = np.broadcast_to(colours[:, None, None], (channels + 1, height, width, channels))
    outputs = predict(head, pictures.astype(np.float32))
    if outputs.ndim == 4 and outputs.shape[1:3] == (height, width):
        offset = outputs[0, 0, 0]
        matrix = (outputs[1:, 0, 0] - offset) / np.float32(_BRIGHTEST)
        if relative_difference(predict(head, drawn), drawn @ matrix + offset) <= _TOLERANCE:
            return Preprocessing(matrix, offset)
    names = [node.operation.name for node in _nodes(head)]
    raise PupilaError(
        f"The preprocessing of the model ({join_names(names)}) is not the same affine map of every "
        f"pixel, and int8 supports nothing else: keep scaling and subtraction of means in the "
        f"model, and do the rest outside it."
    )


def _check_weights(flat: Any) -> None:
    for layer in flat.layers:
        for weight in layer.weights:
            if not np.isfinite(np.asarray(weight)).all():
                raise PupilaError(
                    f"Layer {layer.name!r} has weights that are NaN or infinite in "
                    f"{weight.name!r}: train the model again, or take an earlier checkpoint."
                )


def _check_same(flat: Any, translated: Any) -> None:
    shape = [side or 1 for side in flat.inputs[0].shape[1:]]
    drawn = np.random.default_rng(0).uniform(-1, 1, (_PROBES, *shape)).astype(np.float32)
    difference = relative_difference(predict(flat, drawn), predict(translated, drawn))
    if not difference <= _TOLERANCE:  # NaN is refused too
        raise PupilaError(
            f"Rebuilt in tf_keras, the model answers differently: by {difference:.2g}, and no more "
            f"than {_TOLERANCE:g} was expected. A layer computes something else there: replace "
            f"activations such as gelu by relu, or quantise after training by quantize-int8."
        )


def _translate(flat: Any) -> Any:
    """Rebuild a model from the `tf_keras` counterparts of its layers.

    A layer that is called twice gets one counterpart.
    """
    tf_keras = import_tf_keras()
    (original,) = flat.inputs
    image = tf_keras.Input(batch_shape=original.shape, dtype="float32", name=original.name)
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
    """Return the tensors of an operation such as `x + y`.

    Raises:
        PupilaError: an operand is a number instead of a tensor.
    """
    operands = [*arguments, *settings.values()]
    if len(operands) == 2 and all(hasattr(operand, "shape") for operand in operands):
        return operands
    raise _unknown(operation.name, f"the operation {type(operation).__name__} on a constant")


def _counterpart(operation: Any) -> Any:
    """Return the `tf_keras` layer for a Keras 3 layer or operation, without weights."""
    layers, kind = import_tf_keras().layers, cast("type[Any]", type(operation))
    if not isinstance(operation, keras.layers.Layer):
        if kind.__name__ not in _RAW_OPERATIONS:
            raise _unknown(operation.name, f"the operation {kind.__name__}")
        return getattr(layers, _RAW_OPERATIONS[kind.__name__])(name=operation.name)
    if not kind.__module__.startswith("keras.") or not hasattr(layers, kind.__name__):
        raise _unknown(operation.name, f"a {kind.__name__}")
    if operation.weights and not isinstance(operation, _WITH_WEIGHTS):
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
        PupilaError: the activation differs in `tf_keras`, or does not exist there.
    """
    name = value if isinstance(value, str) else _name_of(value)
    name = _ACTIVATIONS.get(name, name)
    if name not in _FAMILIAR:
        raise _unknown(layer.name, f"a {type(layer).__name__} with the activation {name!r}")
    return name


def _name_of(value: Any) -> str:
    """Return the name of a serialised activation; None stands for `linear`."""
    if value is None:
        return "linear"
    return str(value.get("registered_name") or value.get("config") or value.get("class_name"))


def _parameters(kind: Any) -> set[str]:
    constructors = [base.__init__ for base in kind.__mro__ if "__init__" in vars(base)]
    return {name for init in constructors for name in inspect.signature(init).parameters}


def _unknown(name: str, what: str) -> PupilaError:
    return PupilaError(
        f"Layer {name!r} is {what}, which has no counterpart that can be trained for int8: replace "
        f"it by a layer of Keras (ReLU, Conv2D, BatchNormalization, …), or quantise the model "
        f"after training, by export-tflite and quantize-int8."
    )
