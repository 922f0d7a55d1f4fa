"""Refuses operators that TFLite Micro or a microcontroller cannot compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pupila import PupilaError
from pupila_micro.flatbuffer import Operator

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
"""Operators that convert between float and integer, which may be at both ends of a model."""
_LAST = ("SOFTMAX", "LOGISTIC")
"""Operators that may compute in float if they are a model's last operator.

`quantize-int8` writes such a model with `io_type: float`.
"""
_INTEGERS = frozenset({"INT4", "INT8", "INT16"})


def check_operators(operators: Sequence[Operator]) -> None:
    """Refuse a model with operators that do not compute in int8 or int16.

    The model's input and output may be float, and a final softmax or sigmoid may compute in float.

    Raises:
        PupilaError: an operator computes in another type, or is a custom operator; the message
            names the operator.
    """
    checked = operators[:-1] if _ends_in_float(operators) else operators
    for is_refused, reason in _REFUSED:
        refused = next((operator for operator in checked if is_refused(operator)), None)
        if refused:
            raise PupilaError(
                f"TFLite Micro refuses {refused.name} (operator {refused.number}): {reason}. "
                f"Quantise the float flatbuffer with `quantize-int8` and `io_type: int8`, and "
                f"export that."
            )


def _ends_in_float(operators: Sequence[Operator]) -> bool:
    last = operators[-1]
    return last.name in _LAST and last.types == frozenset({"FLOAT32"})


def _is_hybrid(operator: Operator) -> bool:
    mixed = "FLOAT32" in operator.types and operator.types & _INTEGERS
    return bool(mixed) and operator.name not in _CONVERSIONS


def _is_float(operator: Operator) -> bool:
    return "FLOAT32" in operator.types and operator.name not in _CONVERSIONS


_REFUSED: tuple[tuple[Callable[[Operator], bool], str], ...] = (
    (lambda operator: operator.custom, "it is a custom operator, and has no kernel"),
    (lambda operator: "UINT8" in operator.types, "it is quantised to uint8, not to int8"),
    (lambda operator: "FLOAT16" in operator.types, "its weights are float16"),
    (_is_hybrid, "it computes in float32 with integer weights, which no kernel supports"),
    (_is_float, "it computes in float32"),
)
