"""The rules that ai-edge-quantizer follows: which operators become what.

All are uniform: `real = scale * (stored - zero_point)`. Weights are symmetric (zero point 0) with
one scale per output channel, activations asymmetric with one scale per tensor, as LiteRT's kernels
want them; see Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", equation 1.
"""

from __future__ import annotations

from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.qtyping import TFLOperationName
from ai_edge_quantizer.recipe_manager import RecipeManager

from pupila_quantize import Borders

_EVERY_TENSOR = ".*"
_EVERYTHING = TFLOperationName.ALL_SUPPORTED
_ENDS = (TFLOperationName.INPUT, TFLOperationName.OUTPUT)


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


def int8(borders: Borders) -> RecipeManager:
    """Weights and activations in int8, the input and output too where `borders` says so."""
    rules = RecipeManager()
    rules.add_static_config(_EVERY_TENSOR, _EVERYTHING, activation_num_bits=8, weight_num_bits=8)
    if borders == "float":
        for end in _ENDS:
            rules.add_quantization_config(
                _EVERY_TENSOR, end, algorithm_key=AlgorithmName.NO_QUANTIZE
            )
    return rules
