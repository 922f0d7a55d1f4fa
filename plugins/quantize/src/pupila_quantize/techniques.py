"""The techniques: each rewrites one float32 flatbuffer; nothing is converted twice.

Measured on a 574 MB VGG19 against TensorFlow's converter: see `benchmarks/quantize_memory.py`.
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
from pupila_quantize.comparing import Comparison, with_warning
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
    dense_scopes,
    float_operators,
    layers,
    refuse_unfit,
    refuse_without,
)
from pupila_quantize.mixed import Mixture, Sensitivity, choose, sensitivities
from pupila_quantize.observing import Inputs, observe

_MODEL_NAME = "model.tflite"

_Read = Callable[[Path], str | bytearray]
"""From a file to what the quantiser reads: its name, or its content."""
_Rules = Callable[[IoType, Sequence[str]], RecipeManager]
"""From the types of both ends, and the scopes of what stays in float, to what becomes what."""


def quantize_float16(step: Step[Config]) -> StepResult:
    """Write the flatbuffer with float16 weights.

    Raises:
        PupilaError: the input cannot be quantised (see `pupila_quantize.graph.refuse_unfit`).
    """
    return _without_data(step, "quantize-float16", rules.float16())


def quantize_dynamic(step: Step[Config]) -> StepResult:
    """Write the flatbuffer with int8 weights, and activations quantised at run time.

    Smaller, but not always faster: measured with XNNPACK on two cores, SqueezeNet took 0.7 times
    as long as in float, EfficientNet-Lite0 five times.

    Raises:
        PupilaError: the input cannot be quantised (see `pupila_quantize.graph.refuse_unfit`).
    """
    return _without_data(step, "quantize-dynamic", rules.dynamic())


def quantize_int8(step: Step[QuantizeInt8]) -> StepResult:
    """Write the flatbuffer with int8 weights and activations.

    With `io_type: float` the softmax or sigmoid that ends the model stays in float; with
    `io_type: int8` the file ends in its logits (see `pupila_quantize.ending`).

    `measured` holds how it does beside the float model on the validation images (see
    `pupila_quantize.comparing`), the number of `calibration_images`, what was corrected (see
    `pupila_quantize.correction`), and `float_operators`, those that compute in float still, counted
    by name.

    Raises:
        PupilaError: the input cannot be quantised (see `pupila_quantize.graph.refuse_unfit`), or
            there are too few training images.
    """
    config, source = step.config, _float_flatbuffer(step, "quantize-int8")
    return _calibrated(step, source, rules.int8, config.io_type, config.correction)


def quantize_int4(step: Step[QuantizeInt4]) -> StepResult:
    """Write the flatbuffer with int4 weights in convolutions and dense layers, int8 in the rest.

    Activations are in int8, calibrated; with `block`, they are quantised at run time. `measured`
    is that of `quantize_int8`.

    Raises:
        PupilaError: the input cannot be quantised (see `pupila_quantize.graph.refuse_unfit`), has
            neither convolution nor dense layer, there are too few training images, or no dense
            layer can be cut into blocks of that length.
    """
    block, correction = step.config.block, step.config.correction
    source = _float_flatbuffer(step, "quantize-int4")
    refuse_without(source, rules.IN_FOUR_BITS, "quantize-int4")
    if block is None:
        return _calibrated(step, source, rules.int4, step.config.io_type, correction)
    scopes = dense_scopes(source, block)
    if not scopes:
        raise PupilaError(
            f"No dense layer has a number of inputs that {block} divides, and blocks are of dense "
            f"layers only: choose a smaller `block`, or leave it out."
        )
    rows, images = _calibration_images(step)
    inputs = _inputs(step, source, images, rows, correction)
    rewritten = _rewrite(source, rules.int4_blocks(block, scopes), step.output, inputs=inputs)
    output = step.inputs[0].record.output
    return _product(step, output, rewritten, _compared(step, output), _left(step, rows))


def quantize_int16x8(step: Step[Calibrated]) -> StepResult:
    """Write the flatbuffer with int8 weights and int16 activations: exact, and slow.

    LiteRT has reference kernels only for it: a student of 128 px took 65 times as long as in
    float. Its input and output are in float. `measured` is that of `quantize_int8`.

    Raises:
        PupilaError: the input cannot be quantised (see `pupila_quantize.graph.refuse_unfit`), or
            there are too few training images.
    """
    source = _float_flatbuffer(step, "quantize-int16x8")
    return _calibrated(step, source, rules.int16x8, "float", "none", _of_any_scale)


def quantize_mixed(step: Step[QuantizeMixed]) -> StepResult:
    """Write the flatbuffer in int8, but for the fewest layers that lose too much accuracy.

    See `pupila_quantize.mixed`. Beside what `quantize_int8` measures, `sensitivity` has every
    layer with its divergence and the accuracy where it alone is in int8, the most sensitive first,
    and whether it stayed in float; `within_budget` tells whether the budget was met; a `warning`
    says that it was not.

    Raises:
        PupilaError: the input cannot be quantised (see `pupila_quantize.graph.refuse_unfit`), or
            there are too few training images.
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
    compared, trial = Comparison.of(step), step.scratch / "trial"
    trial.mkdir(exist_ok=True)

    def rule_without(scopes: Iterable[str]) -> RecipeManager:
        return rules.int8(config.io_type, [*ending.in_float, *scopes])

    def tried(rule: RecipeManager) -> FloatComparison:
        _rewrite(source, rule, trial, ranges, inputs, ending.read)
        return compared.with_form(trial / _MODEL_NAME, ending.output)

    def alone(scopes: Sequence[str]) -> FloatComparison:
        return tried(rules.int8_alone(*scopes))

    def without(scopes: Sequence[str]) -> FloatComparison:
        return tried(rule_without(scopes))

    ranked = sensitivities(layers(source), alone)
    found = choose(ranked, without, config.budget)
    final = rule_without(layer.scope for layer in found.in_float)
    rewritten = _rewrite(source, final, step.output, ranges, inputs, ending.read)
    chosen = _chosen(ranked, found, config.budget)
    return _product(step, ending.output, rewritten, chosen, _left(step, rows))


def _chosen(ranked: Sequence[Sensitivity], mixture: Mixture, budget: float) -> Measured:
    """Return how the mixture does, every layer, and a warning where the budget is not met."""
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
        within_budget=mixture.within,
    )
    warning = None
    if not mixture.within:
        warning = (
            f"No number of layers in float keeps the loss of accuracy on the validation images "
            f"within {budget!r}: the best found is kept. Raise `budget`, or give more of them."
        )
    return Measured(with_warning(mixture.comparison, warning), by_layer)


def _without_data(step: Step[Any], name: str, rule: RecipeManager) -> StepResult:
    rewritten = _rewrite(_float_flatbuffer(step, name), rule, step.output)
    return _product(step, step.inputs[0].record.output, rewritten)


def _calibrated(
    step: Step[Any],
    source: Path,
    rule: _Rules,
    io_type: IoType,
    correction: Correction,
    read: _Read | None = None,
) -> StepResult:
    """Write a form that computes in whole numbers."""
    ending = Ending.of(source, step.inputs[0].record.output, io_type)
    becomes = rule(io_type, ending.in_float)
    rows, images = _calibration_images(step)
    with _quiet():
        ranges = measure_ranges(source, becomes, images, rows, step.progress)
    inputs = _inputs(step, source, images, rows, correction)
    rewritten = _rewrite(source, becomes, step.output, ranges, inputs, read or ending.read)
    compared = _compared(step, ending.output)
    return _product(step, ending.output, rewritten, compared, _left(step, rows))


def _product(step: Step[Any], output: OutputSpec, *measured: Mapping[str, Any]) -> StepResult:
    (artifact,) = step.inputs
    return StepResult.like(artifact, format="tflite", output=output, measured=Measured(*measured))


def _compared(step: Step[Any], output: OutputSpec) -> Measured:
    """Return how the file does beside the float model: nothing, where weights are random."""
    if step.inputs[0].record.untrained:
        return Measured()
    return with_warning(Comparison.of(step).with_form(step.output / _MODEL_NAME, output))


def _left(step: Step[Any], rows: list[int]) -> dict[str, Any]:
    left = float_operators(step.output / _MODEL_NAME)
    return {"calibration_images": len(rows), "float_operators": left}


def _calibration_images(step: Step[Any]) -> tuple[list[int], Pixels]:
    """Return the training images, and which of them are shown."""
    train = step.split("train")
    rows = choose_rows(train, step.config.calibration_images, step.seed)
    return rows, train.pixels(step.inputs[0].record.input)


def _inputs(
    step: Step[Any], source: Path, images: Pixels, rows: list[int], correction: Correction
) -> list[Inputs] | None:
    """Return what the layers are given, as far as the correction asks for it."""
    if correction == "none":
        return None
    with _quiet():
        return observe(source, images, rows, correction == "gptq", step.progress)


def _float_flatbuffer(step: Step[Any], technique: str) -> Path:
    (artifact,) = step.inputs
    source = artifact.file(".tflite")
    refuse_unfit(source, technique, artifact.record.input.shape)
    return source


def _rewrite(
    source: Path,
    rule: RecipeManager,
    folder: Path,
    ranges: Ranges | None = None,
    inputs: list[Inputs] | None = None,
    read: _Read = str,
) -> dict[str, Any]:
    """Apply `rule`, correct with `inputs`, and repack: a shared bias could not be corrected.

    Returns what was corrected, and the size as a fraction of the source's.
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


def _of_any_scale(source: Path) -> bytearray:
    """Return a flatbuffer whose additions may have any scale in int16.

    A float addition says nothing of it, and LiteRT then takes scales to be powers of two.
    """
    model: Any = read_model(str(source))
    for graph in model.subgraphs:
        for operator in graph.operators:
            if hasattr(operator.builtinOptions, "potScaleInt16"):
                operator.builtinOptions.potScaleInt16 = False
    return convert_object_to_bytearray(model)


@contextmanager
def _quiet() -> Generator[None]:
    """Leave out LiteRT's advice on a debugging option that the quantizer means to use."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors")
        yield
