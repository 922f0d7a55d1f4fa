"""The graph of a Keras 3 model: its layers in the order in which they are called."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from pupila.errors import PupilaError
from pupila.keras_files import import_keras

keras = import_keras()


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
    calls = Calls(model)
    return keras.Model(calls.image, calls.output, name=model.name)


class Calls:
    """Calls every layer of a model anew, in topological order, nested models from within.

    With `shape`, on an input `(height, width, channels)` that may differ from the model's own.
    Layers of the types `without` are passed over: what reads them reads what they would have read.

    Raises:
        PupilaError: the model is no graph of layers.
    """

    def __init__(
        self, model: Any, shape: tuple[int, ...] | None = None, without: tuple[type, ...] = ()
    ) -> None:
        if not _is_graph(model):
            raise PupilaError(
                f"The model {model.name!r} is a {type(model).__name__}, whose layers cannot be "
                f"told apart. Give a Sequential or functional Keras model."
            )
        (given,) = model.inputs
        batch_shape = (given.shape[0], *(shape or given.shape[1:]))
        self.image = keras.Input(batch_shape=batch_shape, dtype=given.dtype, name=given.name)
        self._without = without
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
        given = keras.tree.flatten(outputs)
        return given[0] if len(given) == 1 else outputs

    def _make_name_unique(self, layer: Any, model: Any) -> None:
        while self._names.setdefault(layer.name, layer) is not layer:
            layer.name = f"{model.name}_{layer.name}"


def inputs_of(given: Any) -> list[Any]:
    """Return the tensors that the layer read which gave this one; none of an input's."""
    history = given._keras_history
    return list(history.operation._inbound_nodes[history.node_index].input_tensors)


def bottlenecks(calls: Calls) -> Iterator[tuple[int, Any]]:
    """Yield where one tensor is all that later layers read: the layer's place, and the tensor.

    In any topological order, a tensor that is alone once is what all that follows is made from.
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
        given = keras.tree.flatten(outputs)
        waiting = {each for each in {*waiting, *map(id, given)} if last_read.get(each, 0) > number}
        if len(given) == 1 and waiting == {id(given[0])}:
            yield number, given[0]


def _is_graph(layer: Any) -> bool:
    return isinstance(layer, keras.Function | keras.Sequential)


def _graph(model: Any) -> Any:
    sequential = isinstance(model, keras.Sequential)
    return keras.Model(model.inputs, model.outputs) if sequential else model


def _accepted(layer: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Return those settings that a layer can be called with."""
    known = inspect.signature(layer.call).parameters
    return {name: value for name, value in settings.items() if name in known and value is not None}
