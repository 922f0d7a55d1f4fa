"""Rules for ai-edge-quantizer: the type that each operator is quantised to.

All quantisation is uniform: `real = scale * (stored - zero_point)`. LiteRT's kernels need symmetric
weights (zero point 0) with one scale per output channel, and take asymmetric activations with one
scale per tensor. See Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
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
"""Operators whose kernels support weights of four bits."""
_BLOCKS = {
    32: QuantGranularity.BLOCKWISE_32,
    64: QuantGranularity.BLOCKWISE_64,
    128: QuantGranularity.BLOCKWISE_128,
    256: QuantGranularity.BLOCKWISE_256,
}


def float16() -> RecipeManager:
    """Return rules that store weights in float16, and compute in float32."""
    rules = RecipeManager()
    rules.add_weight_only_config(
        _EVERY_TENSOR, _EVERYTHING, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING
    )
    return rules


def dynamic() -> RecipeManager:
    """Return rules for int8 weights, and for activations quantised at run time.

    The range of each activation is then computed for the current image.
    """
    rules = RecipeManager()
    rules.add_dynamic_config(_EVERY_TENSOR, _EVERYTHING, num_bits=8)
    return rules


def int8(io_type: IoType, in_float: Iterable[str] = ()) -> RecipeManager:
    """Return rules for int8 weights and activations; input and output have the type `io_type`.

    The operators of the scopes `in_float` (see `pupila_quantize.graph.layers`) stay in float.
    """
    rules = RecipeManager()
    rules.add_static_config(_EVERY_TENSOR, _EVERYTHING, activation_num_bits=8, weight_num_bits=8)
    return _keep_float(rules, io_type, in_float)


def int8_alone(scope: str) -> RecipeManager:
    """Return rules that quantise one operator to int8, and leave all others in float."""
    rules = RecipeManager()
    rules.add_static_config(
        _pattern_of(scope), _EVERYTHING, activation_num_bits=8, weight_num_bits=8
    )
    return rules


def int4(io_type: IoType, in_float: Iterable[str] = ()) -> RecipeManager:
    """Return the rules of `int8`, but with int4 weights in convolutions and dense layers.

    The largest weight sets the scale, without clipping. Validation accuracies on ACRIMA were, for
    EfficientNet-Lite0 and SqueezeNet: .962 and .924 in float; .781 and .695 without clipping; .638
    and .790 with OCTAV (Sakr et al. 2022); .448 and .648 with the clipping of least mean squared
    error. `pupila_quantize.correction` recovers the loss.
    """
    rules = int8("int8")
    for operator in IN_FOUR_BITS:
        rules.add_static_config(_EVERY_TENSOR, operator, activation_num_bits=8, weight_num_bits=4)
    return _keep_float(rules, io_type, in_float)


def int4_blocks(block: int, scopes: Iterable[str]) -> RecipeManager:
    """Return rules for int4 weights with a scale for each block, in the dense layers `scopes`.

    A block has `block` weights. LiteRT's kernels support blocks only in dense layers, and then
    quantise activations at run time. Convolutions get int4 weights with one scale for each output
    channel. All other operators follow the rules of `dynamic`.
    """
    rules = dynamic()
    rules.add_dynamic_config(_EVERY_TENSOR, TFLOperationName.CONV_2D, num_bits=4)
    for scope in scopes:
        rules.add_dynamic_config(
            _pattern_of(scope),
            TFLOperationName.FULLY_CONNECTED,
            num_bits=4,
            granularity=_BLOCKS[block],
        )
    return rules


def int16x8(io_type: IoType, in_float: Iterable[str] = ()) -> RecipeManager:
    """Return rules for int8 weights and symmetric int16 activations."""
    rules = RecipeManager()
    rules.add_static_config(_EVERY_TENSOR, _EVERYTHING, activation_num_bits=16, weight_num_bits=8)
    return _keep_float(rules, io_type, in_float)


def _keep_float(rules: RecipeManager, io_type: IoType, in_float: Iterable[str]) -> RecipeManager:
    """Add rules for operators that stay in float, and return all rules."""
    for scope in in_float:
        _keep_operator_float(rules, _pattern_of(scope))
    if io_type == "float":
        for end in _ENDS:
            _keep_operator_float(rules, _EVERY_TENSOR, end)
    return rules


def _keep_operator_float(
    rules: RecipeManager, scope: str, operator: TFLOperationName = _EVERYTHING
) -> None:
    rules.add_quantization_config(scope, operator, algorithm_key=AlgorithmName.NO_QUANTIZE)


def _pattern_of(scope: str) -> str:
    return f"^{re.escape(scope)}$"
