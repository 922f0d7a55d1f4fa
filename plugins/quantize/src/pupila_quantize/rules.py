"""The rules that ai-edge-quantizer follows: which operators become what.

All are uniform: `real = scale * (stored - zero_point)`. Weights are symmetric (zero point 0) with
one scale per output channel, activations asymmetric with one scale per tensor, as LiteRT's kernels
want them; see Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", equation 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pupila_quantize.config import IoType
from pupila_quantize.edge_quantizer import (
    AlgorithmName,
    QuantGranularity,
    RecipeManager,
    TFLOperationName,
)

_EVERY_TENSOR = ".*"
_EVERYTHING = TFLOperationName.ALL_SUPPORTED
_ENDS = (TFLOperationName.INPUT, TFLOperationName.OUTPUT)
IN_FOUR_BITS = (TFLOperationName.CONV_2D, TFLOperationName.FULLY_CONNECTED)
"""Operators whose kernels take weights of four bits."""
_BLOCKS = {
    32: QuantGranularity.BLOCKWISE_32,
    64: QuantGranularity.BLOCKWISE_64,
    128: QuantGranularity.BLOCKWISE_128,
    256: QuantGranularity.BLOCKWISE_256,
}


def float16() -> RecipeManager:
    """Weights cast to float16, and back where they are used."""
    rules = RecipeManager()
    rules.add_weight_only_config(
        _EVERY_TENSOR, _EVERYTHING, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING
    )
    return rules


def dynamic() -> RecipeManager:
    """Weights in int8; each activation is quantised anew for every image, by its own range."""
    rules = RecipeManager()
    rules.add_dynamic_config(_EVERY_TENSOR, _EVERYTHING, num_bits=8)
    return rules


def int8(io_type: IoType, in_float: Iterable[str] = ()) -> RecipeManager:
    """Weights and activations in int8, the input and output too where `io_type` says so.

    The operators of the scopes `in_float` (see `pupila_quantize.graph.layers`) stay as they are.
    """
    rules = RecipeManager()
    rules.add_static_config(_EVERY_TENSOR, _EVERYTHING, activation_num_bits=8, weight_num_bits=8)
    return _left(rules, io_type, in_float)


def int8_alone(scope: str) -> RecipeManager:
    """One operator in int8, all others in float."""
    rules = RecipeManager()
    rules.add_static_config(_exactly(scope), _EVERYTHING, activation_num_bits=8, weight_num_bits=8)
    return rules


def int4(io_type: IoType, in_float: Iterable[str] = ()) -> RecipeManager:
    """Int8, but weights in int4 where the kernels take them: convolutions and dense layers.

    Scales are of the largest weight. Clipping was tried and left out (ACRIMA, validation accuracy
    of EfficientNet-Lite0 and SqueezeNet, .962 and .924 in float): .781 and .695 as here, .638 and
    .790 with OCTAV (Sakr et al. 2022), .448 and .648 with the least mean square error. What
    recovers it is in `pupila_quantize.correction`.
    """
    rules = int8("int8")
    for operator in IN_FOUR_BITS:
        rules.add_static_config(_EVERY_TENSOR, operator, activation_num_bits=8, weight_num_bits=4)
    return _left(rules, io_type, in_float)


def int4_blocks(block: int, scopes: Iterable[str]) -> RecipeManager:
    """Int4 with one scale for each block of `block` weights in those operators.

    The kernels of blocks quantise activations at run time, and there are kernels of dense layers
    only; all else is as in `dynamic`, convolutions with one scale for each output channel.
    """
    rules = dynamic()
    rules.add_dynamic_config(_EVERY_TENSOR, TFLOperationName.CONV_2D, num_bits=4)
    for scope in scopes:
        rules.add_dynamic_config(
            _exactly(scope),
            TFLOperationName.FULLY_CONNECTED,
            num_bits=4,
            granularity=_BLOCKS[block],
        )
    return rules


def int16x8(io_type: IoType, in_float: Iterable[str] = ()) -> RecipeManager:
    """Weights in int8, activations in int16, symmetric."""
    rules = RecipeManager()
    rules.add_static_config(_EVERY_TENSOR, _EVERYTHING, activation_num_bits=16, weight_num_bits=8)
    return _left(rules, io_type, in_float)


def _left(rules: RecipeManager, io_type: IoType, in_float: Iterable[str]) -> RecipeManager:
    """Add what stays in float."""
    for scope in in_float:
        _leave(rules, _exactly(scope))
    if io_type == "float":
        for end in _ENDS:
            _leave(rules, _EVERY_TENSOR, end)
    return rules


def _leave(rules: RecipeManager, scope: str, operator: TFLOperationName = _EVERYTHING) -> None:
    rules.add_quantization_config(scope, operator, algorithm_key=AlgorithmName.NO_QUANTIZE)


def _exactly(scope: str) -> str:
    return f"^{re.escape(scope)}$"
