"""Techniques that quantise after training: each one rewrites a float32 flatbuffer.

`benchmarks/quantize_memory.py` measures how much memory these techniques need, and how much
TensorFlow's converter needs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pupila import Config, OutputSpec, PupilaError, Step, StepResult
from pupila.arrays import Pixels
from pupila.litert.flatbuffer import map_file
from pupila.litert.packing import repack
from pupila.measured import (
    FloatComparison,
    LayerSensitivities,
    LayerSensitivity,
    Measured,
)
from pupila_quantize import rules
from pupila_quantize.calibration import Ranges, choose_rows, measure_ranges
from pupila_quantize.comparing import FloatReference, add_warning
from pupila_quantize.config import (
    Calibrated,
    Correction,
    IoType,
    QuantizeInt4,
    QuantizeInt8,
    QuantizeMixed,
)
from pupila_quantize.correction import correct
from pupila_quantize.edge_quantizer import (
    Quantizer,
    RecipeManager,
    convert_object_to_bytearray,
    read_model,
)
from pupila_quantize.ending import Ending
from pupila_quantize.graph import (
    check_has_weights,
    check_no_loops,
    check_quantisable,
    dense_scopes,
    float_operators,
    layers,
)
from pupila_quantize.mixed import Mixture, Sensitivity, choose, sensitivities
from pupila_quantize.observing import InputStats, measure_inputs

_MODEL_NAME = "model.tflite"

_Read = Callable[[Path], str | bytearray]
"""Takes a path; returns what the quantiser reads: the same path, or a changed flatbuffer."""
_Rules = Callable[[IoType, Sequence[str]], RecipeManager]
"""Takes the type of input and output, and the scopes that stay in float; returns the rules."""


def quantize_float16(step: Step[Config]) -> StepResult:
    """Write the flatbuffer with float16 weights.

    Raises:
        PupilaError: the input cannot be quantised (see `pupila_quantize.graph.check_quantisable`).
    """
    return _quantise_without_data(step, "quantize-float16", rules.float16())


def quantize_dynamic(step: Step[Config]) -> StepResult:
    """Write the flatbuffer with int8 weights, and activations quantised at run time.

    The file is smaller, but not always faster than in float. With XNNPACK on two cores, SqueezeNet
    took 0.7 times as long as in float, and EfficientNet-Lite0 five times as long.

    Raises:
        PupilaError: the input cannot be quantised (see `pupila_quantize.graph.check_quantisable`).
    """
    return _quantise_without_data(step, "quantize-dynamic", rules.dynamic())


def quantize_int8(step: Step[QuantizeInt8]) -> StepResult:
    """Write the flatbuffer with int8 weights and activations.

    With `io_type: float` a final softmax or sigmoid stays in float. With `io_type: int8` a final
    softmax is left out, and the file ends in its logits (see `pupila_quantize.ending`).

    `measured` has the comparison with the float model on the validation images (see
    `pupila_quantize.comparing`), the number of `calibration_images`, the numbers of corrections
    (see `pupila_quantize.correction.correct`), and `float_operators`, the number of operators of
    each name that still compute in float.

    Raises:
        PupilaError: the input cannot be quantised (see `pupila_quantize.graph.check_quantisable`),
            or there are too few training images.
    """
    config, source = step.config, _float_flatbuffer(step, "quantize-int8")
    return _quantise_calibrated(step, source, rules.int8, config.io_type, config.correction)


def quantize_int4(step: Step[QuantizeInt4]) -> StepResult:
    """Write the flatbuffer with int4 weights in convolutions and dense layers, int8 elsewhere.

    Activations are in int8 with calibrated ranges; with `block`, they are quantised at run time.
    `measured` is as for `quantize_int8`.

    Raises:
        PupilaError: the input cannot be quantised (see `pupila_quantize.graph.check_quantisable`)
            or has neither a convolution nor a dense layer; no dense layer has a number of inputs
            that is a multiple of `block`; or there are too few training images.
    """
    block, correction = step.config.block, step.config.correction
    source = _float_flatbuffer(step, "quantize-int4")
    check_has_weights(source, rules.IN_FOUR_BITS, "quantize-int4")
    if block is None:
        return _quantise_calibrated(step, source, rules.int4, step.config.io_type, correction)
    scopes = dense_scopes(source, block)
    if not scopes:
        raise PupilaError(
            f"No dense layer has a number of inputs that {block} divides, and only dense layers "
            f"have blocks: choose a smaller `block`, or leave it out."
        )
    rows, images = _calibration_images(step)
    inputs = _inputs(step, source, images, rows, correction)
    rewritten = _rewrite(source, rules.int4_blocks(block, scopes), step.output, inputs=inputs)
    output = step.inputs[0].record.output
    return _result(step, output, rewritten, _compare(step, output), _counts(step, rows))


def quantize_int16x8(step: Step[Calibrated]) -> StepResult:
    """Write the flatbuffer with int8 weights and int16 activations: accurate, but slow.

    LiteRT has only slow reference kernels for these types: a student with an input of 128 px took
    65 times as long as in float. Input and output are in float. `measured` is as for
    `quantize_int8`.

    Raises:
        PupilaError: the input cannot be quantised (see `pupila_quantize.graph.check_quantisable`),
            or there are too few training images.
    """
    source = _float_flatbuffer(step, "quantize-int16x8")
    return _quantise_calibrated(step, source, rules.int16x8, "float", "none", _allow_any_scale)


def quantize_mixed(step: Step[QuantizeMixed]) -> StepResult:
    """Write the flatbuffer in int8, with as few layers in float as the accuracy budget allows.

    See `pupila_quantize.mixed` for the method. `measured` has the entries of `quantize_int8`, and
    two more:

    * `sensitivity` lists every layer, the most sensitive first: the divergence and the accuracy
      when only this layer is in int8, and whether the layer stayed in float;
    * `within_budget` says whether the budget is met. If not, there is also a `warning`.

    Raises:
        PupilaError: the input's weights are random, the input cannot be quantised (see
            `pupila_quantize.graph.check_quantisable`), or there are too few training images.
    """
    if step.inputs[0].record.untrained:
        raise PupilaError(
            "quantize-mixed chooses layers by the accuracy that they cost, and this model's "
            "weights are random: train it first, or use quantize-int8."
        )
    config, source = step.config, _float_flatbuffer(step, "quantize-mixed")
    rows, images = _calibration_images(step)
    with _quiet():
        ranges = measure_ranges(source, rules.int8(config.io_type), images, rows, step.progress)
    inputs = _inputs(step, source, images, rows, config.correction)
    ending = Ending.of(source, step.inputs[0].record.output, config.io_type)
    reference, candidate = FloatReference.of(step), step.scratch / "candidate"
    candidate.mkdir(exist_ok=True)

    def rule_without(scopes: Iterable[str]) -> RecipeManager:
        return rules.int8(config.io_type, [*ending.in_float, *scopes])

    def compare(rule: RecipeManager) -> FloatComparison:
        _rewrite(source, rule, candidate, ranges, inputs, ending.read)
        return reference.compare(candidate / _MODEL_NAME, ending.output)

    def alone(scopes: Sequence[str]) -> FloatComparison:
        return compare(rules.int8_alone(*scopes))

    def without(scopes: Sequence[str]) -> FloatComparison:
        return compare(rule_without(scopes))

    ranked = sensitivities(layers(source), alone)
    mixture = choose(ranked, without, config.budget)
    final = rule_without(layer.scope for layer in mixture.in_float)
    rewritten = _rewrite(source, final, step.output, ranges, inputs, ending.read)
    measured = _mixture_result(ranked, mixture, config.budget)
    return _result(step, ending.output, rewritten, measured, _counts(step, rows))


def _mixture_result(ranked: Sequence[Sensitivity], mixture: Mixture, budget: float) -> Measured:
    """Return the mixture's comparison, all sensitivities, and a warning if it is over budget."""
    by_layer = LayerSensitivities(
        sensitivity=tuple(
            LayerSensitivity(
                layer=alone.layer.name,
                operator=alone.layer.operator,
                divergence=alone.divergence,
                accuracy=alone.accuracy,
                in_float=alone.layer in mixture.in_float,
            )
            for alone in ranked
        ),
        within_budget=mixture.within_budget,
    )
    warning = None
    if not mixture.within_budget:
        warning = (
            f"No number of layers in float keeps the loss of accuracy on the validation images "
            f"within {budget!r}: the best is kept. Raise `budget`, or give more images."
        )
    return Measured(add_warning(mixture.comparison, warning), by_layer)


def _quantise_without_data(step: Step[Any], name: str, rule: RecipeManager) -> StepResult:
    source = _float_flatbuffer(step, name, calibrated=False)
    rewritten = _rewrite(source, rule, step.output)
    return _result(step, step.inputs[0].record.output, rewritten)


def _quantise_calibrated(
    step: Step[Any],
    source: Path,
    rule: _Rules,
    io_type: IoType,
    correction: Correction,
    read: _Read | None = None,
) -> StepResult:
    """Quantise weights and activations by calibration, and write the flatbuffer."""
    ending = Ending.of(source, step.inputs[0].record.output, io_type)
    chosen = rule(io_type, ending.in_float)
    rows, images = _calibration_images(step)
    with _quiet():
        ranges = measure_ranges(source, chosen, images, rows, step.progress)
    inputs = _inputs(step, source, images, rows, correction)
    rewritten = _rewrite(source, chosen, step.output, ranges, inputs, read or ending.read)
    comparison = _compare(step, ending.output)
    return _result(step, ending.output, rewritten, comparison, _counts(step, rows))


def _result(step: Step[Any], output: OutputSpec, *measured: Mapping[str, Any]) -> StepResult:
    (artifact,) = step.inputs
    return StepResult.like(artifact, format="tflite", output=output, measured=Measured(*measured))


def _compare(step: Step[Any], output: OutputSpec) -> Measured:
    """Compare the written file with the float model; empty if the model is untrained."""
    if step.inputs[0].record.untrained:
        return Measured()
    return add_warning(FloatReference.of(step).compare(step.output / _MODEL_NAME, output))


def _counts(step: Step[Any], rows: list[int]) -> dict[str, Any]:
    in_float = float_operators(step.output / _MODEL_NAME)
    return {"calibration_images": len(rows), "float_operators": in_float}


def _calibration_images(step: Step[Any]) -> tuple[list[int], Pixels]:
    """Return the rows used for calibration, and the training images."""
    train = step.split("train")
    rows = choose_rows(train, step.config.calibration_images, step.seed)
    return rows, train.pixels(step.inputs[0].record.input)


def _inputs(
    step: Step[Any], source: Path, images: Pixels, rows: list[int], correction: Correction
) -> list[InputStats] | None:
    """Return the statistics of the layers' inputs that the correction needs."""
    if correction == "none":
        return None
    with _quiet():
        return measure_inputs(source, images, rows, correction == "gptq", step.progress)


def _float_flatbuffer(step: Step[Any], technique: str, *, calibrated: bool = True) -> Path:
    (artifact,) = step.inputs
    source = artifact.file(".tflite")
    check_quantisable(source, technique, artifact.record.input.shape)
    if calibrated:
        check_no_loops(source, technique)
    return source


def _rewrite(
    source: Path,
    rule: RecipeManager,
    folder: Path,
    ranges: Ranges | None = None,
    inputs: list[InputStats] | None = None,
    read: _Read = str,
) -> dict[str, Any]:
    """Quantise by `rule`, correct with `inputs`, and then repack the file.

    Repacking comes last: it lets layers share equal biases, and a shared bias cannot be corrected.
    Returns the numbers of corrections, and `size_ratio`, the size as a fraction of the source's.
    """
    target = folder / _MODEL_NAME
    with _quiet():
        Quantizer(read(source), rule.get_quantization_recipe()).quantize(
            ranges,
            serialize_to_path=str(target),
            enable_progress_bar=False,
            enable_progress_report=False,
        )
    corrected = {} if inputs is None else correct(target, source, inputs)
    target.write_bytes(repack(map_file(target)))
    return {"size_ratio": target.stat().st_size / source.stat().st_size} | corrected


def _allow_any_scale(source: Path) -> bytearray:
    """Return the flatbuffer changed so that int16 additions may have any scale.

    By default LiteRT assumes that the scales of additions are powers of two.
    """
    model: Any = read_model(str(source))
    for graph in model.subgraphs:
        for operator in graph.operators:
            if hasattr(operator.builtinOptions, "potScaleInt16"):
                operator.builtinOptions.potScaleInt16 = False
    return convert_object_to_bytearray(model)


@contextmanager
def _quiet() -> Generator[None]:
    """Suppress LiteRT's warning about a debugging option that the quantiser uses on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors")
        yield
