"""Translates bare TensorFlow operations in a Keras 2 graph (`x / 127.5`, `x + y`) to Keras layers.

Keras 2 stored each such operation as a `TFOpLambda` with the name of the TensorFlow function. For
the few functions that image classifiers use, Keras has an equivalent layer. Any other function is
refused before the model is built.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pupila import PupilaError
from pupila_keras.graph import LayerCall

OPERATOR_CLASSES = frozenset({"TFOpLambda", "SlicingOpLambda"})

_ALIASES = {
    "__operators__.add": "math.add",
    "__operators__.truediv": "math.truediv",
    "nn.bias_add": "math.add",
}
_BY_NUMBER: dict[str, Callable[[Any], dict[str, Any]]] = {
    "math.truediv": lambda value: _rescaling(scale=_map_numbers(value, lambda number: 1 / number)),
    "math.multiply": lambda value: _rescaling(scale=value),
    "math.add": lambda value: _rescaling(offset=value),
    "math.subtract": lambda value: _rescaling(offset=_map_numbers(value, lambda number: -number)),
}
"""For each function with a constant operand: settings of the `Rescaling` layer that does the same.

The operand is one number, or an array that broadcasts to the tensor: one number per channel, or
the embeddings of all positions.
"""
_BY_TENSOR = {"math.add": "Add", "math.multiply": "Multiply", "math.subtract": "Subtract"}
_ACTIVATIONS = {"nn.relu": "relu", "nn.softmax": "softmax", "math.sigmoid": "sigmoid"}

TRANSLATED = frozenset({*_ALIASES, *_BY_NUMBER, *_ACTIVATIONS})
"""Names, within `tf`, of the functions with an equivalent layer."""


def as_layer(name: str, function: str, call: LayerCall) -> tuple[str, dict[str, Any], LayerCall]:
    """Return the class, the settings and the call of the layer that does the same as `function`.

    `name` is the name of the operation in the model, `function` is one of `TRANSLATED`, and `call`
    is the call of the operation.

    Raises:
        PupilaError: the operation divides one tensor by another, which no layer does.
    """
    if function in _ACTIVATIONS:
        return "Activation", {"activation": _ACTIVATIONS[function]}, LayerCall(call.tensors, {})
    operand = call.keywords["bias" if function == "nn.bias_add" else "y"]
    function = _ALIASES.get(function, function)
    if _is_constant(operand):
        return "Rescaling", _BY_NUMBER[function](operand), LayerCall(call.tensors, {})
    if function not in _BY_TENSOR:
        raise PupilaError(
            f"Layer {name!r} divides one tensor by another: Keras has no layer for that."
        )
    return _BY_TENSOR[function], {}, LayerCall([*call.tensors, operand], {})


def _rescaling(scale: Any = 1.0, offset: Any = 0.0) -> dict[str, Any]:
    return {"scale": scale, "offset": offset}


def _is_constant(operand: Any) -> bool:
    if isinstance(operand, list):
        return all(map(_is_constant, cast("list[Any]", operand)))
    return isinstance(operand, int | float)


def _map_numbers(value: Any, change: Callable[[float], float]) -> Any:
    if not isinstance(value, list):
        return change(value)
    return [_map_numbers(number, change) for number in cast("list[Any]", value)]
