"""Translates layer calls in a stored graph from the notation of Keras 2 to that of Keras 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from pupila import PupilaError

_CONSTANT = "_CONSTANT_VALUE"
"""Keras 2 writes this instead of a layer's name if the first argument of a call is a number."""

Address = list[Any]
"""Address of a tensor: layer name, index of the layer's call, index of the call's output."""


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer: its input tensors and keyword arguments.

    The value of a keyword may be the address of a tensor, or a list of addresses.
    """

    tensors: list[Address]
    keywords: dict[str, Any]

    @classmethod
    def of(cls, node: list[Any], layer: str) -> LayerCall:
        """Return the call of the layer `layer` that a node of Keras 2 describes.

        The node is `[[name, call, output, keywords], …]`, or one inner list alone.

        Raises:
            PupilaError: the first argument of the call is not a tensor.
        """
        arguments = [node] if node and isinstance(node[0], str) else node
        if any(argument[0] == _CONSTANT for argument in arguments):
            raise PupilaError(
                f"Layer {layer!r} computes with a number on the left (`1 - x`), for which Keras 3 "
                "has no layer: write it with the tensor on the left, and save the model again."
            )
        first = arguments[0]
        keywords: dict[str, Any] = first[3] if len(first) > 3 else {}
        present = {name: value for name, value in keywords.items() if value is not None}
        return cls([list(argument[:3]) for argument in arguments], present)

    def serialise(self, classes: dict[str, str]) -> dict[str, Any]:
        """Return the call in Keras 3's notation; `classes` has the class name of each layer."""
        tensors = [_tensor(address, classes) for address in self.tensors]
        keywords = {name: _value(value, classes) for name, value in self.keywords.items()}
        return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": keywords}

    def with_initial_state(self) -> LayerCall:
        """Return the call of a recurrent layer: Keras 2 lists sequence and state as its inputs."""
        sequence, *state = self.tensors
        return LayerCall([sequence], self.keywords | ({"initial_state": state} if state else {}))


def valid_name(name: str) -> str:
    """Return a layer name that Keras 3 accepts: without slashes."""
    return name.replace("/", "_")


def graph_ends(addresses: list[Any], classes: dict[str, str]) -> Any:
    """Translate the addresses of a graph's inputs or outputs from Keras 2 to Keras 3.

    `classes` has the class name of each layer. If `addresses` has one address, the result is that
    address, not a list: with a list, the Keras 3 model would return a list. An address has the
    number of a layer's call. Keras 2 counts a nested model's own node as the first call of the
    model. In the addresses of inputs and outputs, Keras 3 does the same for a Functional model, but
    not for a Sequential model.
    """
    flat = [addresses] if isinstance(addresses[0], str) else addresses
    ends = [
        [valid_name(name), call - (classes[name] == "Sequential"), output]
        for name, call, output in flat
    ]
    return ends[0] if len(ends) == 1 else ends


def _value(value: Any, classes: dict[str, str]) -> Any:
    """Return a keyword's value in Keras 3's notation: tensors, or a constant as it is."""
    if not isinstance(value, list):
        return value
    parts = cast("list[Any]", value)
    if len(parts) == 3 and isinstance(parts[0], str) and parts[0] in classes:
        return _tensor(parts, classes)
    return [_value(part, classes) for part in parts]


def _tensor(address: Address, classes: dict[str, str]) -> dict[str, Any]:
    """Return Keras 3's reference to a tensor.

    For a nested model, the index of the call is lowered by 1: only Keras 2 counts the model's own
    node as a call.
    """
    name, call, output = address
    call -= classes[name] in ("Functional", "Model", "Sequential")
    history = [valid_name(name), call, output]
    # Keras 3 finds the tensor by its history, and ignores shape and type
    config = {"shape": [None], "dtype": "float32", "keras_history": history}
    return {"class_name": "__keras_tensor__", "config": config}
