"""Where a convolutional net changes its resolution: what two nets of any build have in common.

A *stage* is all that a net computes between two halvings of its feature maps; what stands for it
is its last feature map, `(batch, height, width, channels)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from pupila import PupilaError
from pupila.keras_files import import_keras

keras = import_keras()

Size = tuple[int, int]
"""Rows and columns of a feature map."""

_PADDING = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)
"""They change the size of a map, not its resolution."""


def flatten(model: Any) -> Any:
    """Return a functional model without models inside, of the same layers and the same answers.

    The layers, and so the weights, are those of `model`, not copies. Where two of them have one
    name, which only nesting allows, the later is renamed after the model it is in. What a nested
    model was called with, such as `training=False`, its layers are called with. (Keras 3 itself
    lets `fit` overrule that, in the nested model as in the flat one: what must stay frozen is
    frozen by `trainable`.)

    Raises:
        PupilaError: the model is no graph of layers.
    """
    calls = _Calls(model)
    return keras.Model(calls.image, calls.output, name=model.name)


def with_stages(model: Any) -> Any:
    """Return a model of the same layers that gives `[the output, *the stages]`, shallow to deep.

    Raises:
        PupilaError: the model is no graph of layers.
    """
    calls = _Calls(model)
    return keras.Model(calls.image, [calls.output, *_last_of_each(calls.made)])


def size_of(feature_map: Any) -> Size:
    """Return rows and columns of a tensor `(batch, height, width, channels)`."""
    _, height, width, _ = feature_map.shape
    return height, width


class _Calls:
    """Calls every layer of a model anew, in topological order, nested models from within."""

    def __init__(self, model: Any) -> None:
        if not _is_graph(model):
            raise PupilaError(
                f"The model {model.name!r} is a {type(model).__name__}, whose layers cannot be "
                f"told apart. Give a Sequential or functional Keras model."
            )
        (given,) = model.inputs
        self.image = keras.Input(batch_shape=given.shape, dtype=given.dtype, name=given.name)
        self.made: list[tuple[Any, Any]] = []
        """Each layer called, and what it gave."""
        self._names: dict[str, Any] = {given.name: None}
        self.output = self._run(model, self.image, {})

    def _run(self, model: Any, inputs: Any, inherited: dict[str, Any]) -> Any:
        """Call all layers of one model on new inputs.

        Keras offers this as `clone_model` too, but cuts what it makes off from its inputs unless
        they are inputs of the whole.
        """

        def call(layer: Any, *arguments: Any, **settings: Any) -> Any:
            settings = _accepted(layer, inherited) | settings
            if _is_graph(layer):
                training = {"training": settings.get("training")}
                return self._run(layer, arguments, training)
            self._make_name_unique(layer, model)
            outputs = layer(*arguments, **settings)
            self.made.append((layer, outputs))
            return outputs

        outputs = _graph(model)._run_through_graph(inputs, call_fn=call)
        return outputs[0] if isinstance(outputs, list | tuple) and len(outputs) == 1 else outputs

    def _make_name_unique(self, layer: Any, model: Any) -> None:
        while self._names.setdefault(layer.name, layer) is not layer:
            layer.name = f"{model.name}_{layer.name}"


def _is_graph(layer: Any) -> bool:
    return isinstance(layer, keras.Function | keras.Sequential)


def _graph(model: Any) -> Any:
    sequential = isinstance(model, keras.Sequential)
    return keras.Model(model.inputs, model.outputs) if sequential else model


def _accepted(layer: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Return those settings that a layer can be called with."""
    known = inspect.signature(layer.call).parameters
    return {name: value for name, value in settings.items() if name in known and value is not None}


def _last_of_each(made: Sequence[tuple[Any, Any]]) -> list[Any]:
    """Return the last feature map of each stage, shallow to deep.

    Whatever comes before the first convolution is the picture itself. A map of one position says
    nothing of where, so it is no stage: it is a pooled vector, or belongs to a
    squeeze-and-excitation.
    """
    last: dict[Size, Any] = {}
    first = next((n for n, (layer, _) in enumerate(made) if _convolves(layer)), len(made))
    for layer, outputs in made[first:]:
        if not isinstance(layer, _PADDING):
            last |= {size_of(each): each for each in keras.tree.flatten(outputs) if _is_map(each)}
    return [last[size] for size in _halvings(last)]


def _convolves(layer: Any) -> bool:
    return any(len(weight.shape) == 4 for weight in getattr(layer, "weights", ()))


def _is_map(tensor: Any) -> bool:
    return len(tensor.shape) == 4 and size_of(tensor) != (1, 1)


def _halvings(sizes: Any) -> list[Size]:
    """Return the smallest size of each stage, largest first.

    A new stage begins where rows or columns are at most half of what they were, rounded up; what
    is a little smaller comes of a convolution without padding, and belongs to the same.
    """
    stages: list[Size] = []
    for size in sorted(sizes, key=lambda size: size[0] * size[1], reverse=True):
        same = stages and all(
            2 * n > before + 1 for n, before in zip(size, stages[-1], strict=True)
        )
        if same:
            stages[-1] = size
        else:
            stages.append(size)
    return stages
