"""Walks and rebuilds the graph of a Keras 3 model: its layers in the order of their calls."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from pupila.errors import PupilaError
from pupila.keras_files import import_keras

keras = import_keras()


def flatten(model: Any) -> Any:
    """Return an equivalent functional model without nested models.

    Layers, and so weights, are shared with `model`, not copied. Nested models may have layers of
    the same name; then the later layer gets the name of its model as a prefix. Arguments with which
    a nested model is called, such as `training=False`, are passed on to its layers. (In Keras 3,
    `fit` overrules `training=False`, nested or flat: set `trainable` for layers that must stay
    frozen.)

    Raises:
        PupilaError: the model is not a graph of layers.
    """
    calls = Calls(model)
    return keras.Model(calls.image, calls.output, name=model.name)


class Calls:
    """New calls of all layers of a model and of its nested models, in topological order.

    The calls begin at a new input, `image`, and end at `output`. `shape` is the shape of the new
    input, `(height, width, channels)`, by default that of the model's input. Layers of the types in
    `without` are skipped: their input replaces their output.

    Raises:
        PupilaError: the model is not a graph of layers.
    """

    def __init__(
        self, model: Any, shape: tuple[int, ...] | None = None, without: tuple[type, ...] = ()
    ) -> None:
        if not _is_graph(model):
            raise PupilaError(
                f"The model {model.name!r} is a {type(model).__name__}, which has no graph of "
                f"layers. Give a Sequential or functional Keras model."
            )
        (own_input,) = model.inputs
        batch_shape = (own_input.shape[0], *(shape or own_input.shape[1:]))
        self.image = keras.Input(
            batch_shape=batch_shape, dtype=own_input.dtype, name=own_input.name
        )
        self._without = without
        self.made: list[tuple[Any, Any]] = []
        """Each layer that was called, with its output."""
        self._names: dict[str, Any] = {own_input.name: None}
        self.output = self._run(model, self.image, {})

    def _run(self, model: Any, inputs: Any, inherited: dict[str, Any]) -> Any:
        """Call all layers of one model on new inputs, and return its output.

        Keras' `clone_model` does this too, but the result is disconnected from `inputs` unless they
        are inputs of the whole model.
        """

        def call(layer: Any, *arguments: Any, **settings: Any) -> Any:
            if isinstance(layer, self._without):
                return arguments[0]
            settings = _accepted(layer, inherited) | settings
            if _is_graph(layer):
                training = {"training": settings.get("training")}
                return self._run(layer, arguments, training)
            self._make_name_unique(layer, model)
            outputs = layer(*arguments, **settings)
            self.made.append((layer, outputs))
            return outputs

        outputs: Any = _graph(model)._run_through_graph(inputs, call_fn=call)
        tensors = keras.tree.flatten(outputs)
        return tensors[0] if len(tensors) == 1 else outputs

    def _make_name_unique(self, layer: Any, model: Any) -> None:
        while self._names.setdefault(layer.name, layer) is not layer:
            layer.name = f"{model.name}_{layer.name}"


def inputs_of(tensor: Any) -> list[Any]:
    """Return the input tensors of the layer call that made a tensor; empty for a model's input."""
    history = tensor._keras_history
    return list(history.operation._inbound_nodes[history.node_index].input_tensors)


def bottlenecks(calls: Calls) -> Iterator[tuple[int, Any]]:
    """Yield a pair `(position, tensor)` for each bottleneck of a graph.

    A bottleneck is a tensor from which alone all later layers can be computed. `position` is the
    index in `calls.made` of the layer that gives the tensor.
    """
    last_read = {
        id(tensor): number
        for number, (_, outputs) in enumerate(calls.made)
        for output in keras.tree.flatten(outputs)
        for tensor in inputs_of(output)
    }
    last_read |= {id(tensor): len(calls.made) for tensor in keras.tree.flatten(calls.output)}
    waiting = {id(calls.image)}
    for number, (_, outputs) in enumerate(calls.made):
        tensors = keras.tree.flatten(outputs)
        waiting = {key for key in {*waiting, *map(id, tensors)} if last_read.get(key, 0) > number}
        if len(tensors) == 1 and waiting == {id(tensors[0])}:
            yield number, tensors[0]


def _is_graph(layer: Any) -> bool:
    return isinstance(layer, keras.Function | keras.Sequential)


def _graph(model: Any) -> Any:
    sequential = isinstance(model, keras.Sequential)
    return keras.Model(model.inputs, model.outputs) if sequential else model


def _accepted(layer: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that are not None and that the layer's `call` accepts."""
    known = inspect.signature(layer.call).parameters
    return {name: value for name, value in settings.items() if name in known and value is not None}
