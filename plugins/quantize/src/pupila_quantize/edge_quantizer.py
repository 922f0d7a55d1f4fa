"""Imports all names that this package uses from ai-edge-quantizer and its LiteRT tools.

Both packages have type annotations but lack `py.typed`, so pyright asks for stubs, which do not
exist. With all imports here, only this module needs to silence pyright.
"""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from ai_edge_litert.tools.flatbuffer_utils import convert_object_to_bytearray
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.calibrator import CalibrationMode, Calibrator
from ai_edge_quantizer.qtyping import QSV, QuantGranularity, TFLOperationName
from ai_edge_quantizer.quantizer import Quantizer
from ai_edge_quantizer.recipe_manager import RecipeManager
from ai_edge_quantizer.utils.qsv_utils import min_max_update
from ai_edge_quantizer.utils.tfl_flatbuffer_utils import read_model

__all__ = [
    "QSV",
    "AlgorithmName",
    "CalibrationMode",
    "Calibrator",
    "QuantGranularity",
    "Quantizer",
    "RecipeManager",
    "TFLOperationName",
    "convert_object_to_bytearray",
    "min_max_update",
    "read_model",
]
