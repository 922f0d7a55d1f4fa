"""Refuses what TFLite Micro, or a microcontroller, does not compute, by the operator's name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pupila import PupilaError
from pupila_micro.flatbuffer import Operator

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
"""Operators between float and integer: at the ends of a model they are welcome."""
_LAST = ("SOFTMAX", "LOGISTIC")
"""What may end a model in float: `quantize-int8` leaves it so, where the output is in float."""
_INTEGERS = frozenset({"INT4", "INT8", "INT16"})


def check_operators(operators: Sequence[Operator]) -> None:
    """Let a model through that computes with int8 or int16, whatever its input and output hold.

    A softmax or sigmoid that ends it may be in float.

    Raises:
        PupilaError: it does not; the message names the first operator that is to blame.
    """
    in_question = operators[:-1] if _ends_in_float(operators) else operators
    for is_refused, what in _REFUSED:
        found = next((operator for operator in in_question if is_refused(operator)), None)
        if found:
            raise PupilaError(
                f"TFLite Micro refuses {found.name} (operator {found.number}): {what}. Quantise "
                f"the float flatbuffer with `quantize-int8` and `io_type: int8`, and export that."
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
    (lambda operator: operator.custom, "it is a custom operator, and there is no kernel for it"),
    (lambda operator: "UINT8" in operator.types, "it is quantised to uint8, not to int8"),
    (lambda operator: "FLOAT16" in operator.types, "its weights are float16"),
    (_is_hybrid, "it computes in float32 with integer weights, and there are no hybrid kernels"),
    (_is_float, "it computes in float32"),
)
