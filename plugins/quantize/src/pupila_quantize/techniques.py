"""The techniques: each rewrites one float32 flatbuffer; nothing is converted twice.

Measured on a 574 MB VGG19 against TensorFlow's converter: see `benchmarks/quantize_memory.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ai_edge_quantizer.quantizer import Quantizer
from ai_edge_quantizer.recipe_manager import RecipeManager

from pupila import Artifact, Config, Product, PupilaError, Step
from pupila_quantize import QuantizeInt8, rules
from pupila_quantize.calibration import Ranges, choose_rows, measure_ranges
from pupila_quantize.graph import float_operators, refuse_quantized

_MODEL_NAME = "model.tflite"


def quantize_float16(step: Step[Config]) -> Product:
    """Write the flatbuffer with float16 weights.

    Raises:
        PupilaError: the input is quantised already.
    """
    return _without_data(step, "quantize-float16", rules.float16())


def quantize_dynamic(step: Step[Config]) -> Product:
    """Write the flatbuffer with int8 weights, and activations quantised at run time.

    Smaller, but not always faster: measured with XNNPACK on two cores, SqueezeNet took 0.7 times
    as long as in float, EfficientNet-Lite0 five times.

    Raises:
        PupilaError: the input is quantised already.
    """
    return _without_data(step, "quantize-dynamic", rules.dynamic())


def quantize_int8(step: Step[QuantizeInt8]) -> Product:
    """Write the flatbuffer with int8 weights and activations.

    `measured` holds the number of `calibration_images`, and `float_operators`, those that have no
    int8 form and compute in float still, counted by name.

    Raises:
        PupilaError: the input is quantised already, or there are too few training images.
    """
    (artifact,) = step.inputs
    source = _float_flatbuffer(artifact, "quantize-int8")
    if step.dataset is None:
        raise PupilaError("quantize-int8 was given no data: name `data` in the recipe.")
    train = step.dataset.select("train")
    rows = choose_rows(train, step.config.calibration_images, step.seed)
    rule = rules.int8(step.config.borders)
    pixels = train.pixels(artifact.record.input)
    with _quiet():
        ranges = measure_ranges(source, rule, pixels, rows, step.progress)
    measured = _rewrite(source, rule, step.output, ranges)
    left = float_operators(step.output / _MODEL_NAME)
    measured |= {"calibration_images": len(rows), "float_operators": left}
    return Product.like(artifact, format="tflite", measured=measured)


def _without_data(step: Step[Any], name: str, rule: RecipeManager) -> Product:
    (artifact,) = step.inputs
    measured = _rewrite(_float_flatbuffer(artifact, name), rule, step.output)
    return Product.like(artifact, format="tflite", measured=measured)


def _float_flatbuffer(artifact: Artifact, technique: str) -> Path:
    source = artifact.file(".tflite")
    refuse_quantized(source, technique)
    return source


def _rewrite(
    source: Path, rule: RecipeManager, folder: Path, ranges: Ranges | None = None
) -> dict[str, Any]:
    """Apply `rule` and return the size of the result as a fraction of the source's."""
    target = folder / _MODEL_NAME
    quantizer = Quantizer(str(source), rule.get_quantization_recipe())
    with _quiet():
        quantizer.quantize(
            ranges,
            serialize_to_path=str(target),
            enable_progress_bar=False,
            enable_progress_report=False,
        )
    return {"size_ratio": target.stat().st_size / source.stat().st_size}


@contextmanager
def _quiet() -> Generator[None]:
    """Leave out LiteRT's advice on a debugging option that the quantizer means to use."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors")
        yield
