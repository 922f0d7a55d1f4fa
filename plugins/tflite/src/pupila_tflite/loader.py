"""The loader of TFLite flatbuffers: checks a flatbuffer by running it, and copies it unchanged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import InputSpec, OutputSpec, PupilaError, StepResult
from pupila.errors import list_names
from pupila.litert.tensor_io import TensorIO
from pupila.measured import Measured
from pupila.plugin import CLASSIFICATION
from pupila.runtime import ignore_progress
from pupila.spec import MOST_PIXELS
from pupila.task import methods_of
from pupila_tflite.flatbuffer import MODEL_NAME, Graph
from pupila_tflite.probes import draw_probes
from pupila_tflite.runner import LiteRTModel

_ONE_IMAGE = (1, -1)
_PROBE_SEED = 0
_SUM_ERROR = 0.02
"""Largest difference of a softmax's sum from 1, in addition to rounding of quantised columns."""
_HIGHEST_LOW_END = 20
_HIGH_ENDS = (200, 320)
"""Lowest and highest allowed value of the upper end of a quantised input's range.

Calibration on images in 0..255 gives such an upper end; the limits add a margin.
"""


def load(source: Path, output: OutputSpec, folder: Path) -> StepResult:
    """Copy a flatbuffer, float or quantised, that takes one RGB image in 0..255.

    `output` is the declared output.

    Raises:
        PupilaError: LiteRT cannot run the model; the input is not an RGB image, or is quantised for
            a range other than 0..255; the number of output columns differs from the declared
            number; or the outputs are not of the declared kind.
    """
    model = LiteRTModel(source, threads=1)
    spec = _input_spec(source, model)
    _check_range(source, model.input)
    output = _check_columns(source, model, output)
    outputs = model.predict(draw_probes(spec, _PROBE_SEED), ignore_progress)
    sum_error = _SUM_ERROR + output.columns * model.output.scale / 2
    _check_kind(source, outputs, output, sum_error)
    shutil.copyfile(source, folder / MODEL_NAME)
    graph = Graph(source)
    return StepResult(
        format="tflite",
        input=spec,
        output=output,
        parameters=graph.parameters,
        macs=graph.macs,
        measured=Measured(
            {"input_type": model.input.dtype.name, "output_type": model.output.dtype.name}
        ),
    )


def _input_spec(source: Path, model: LiteRTModel) -> InputSpec:
    match model.input.shape:
        case (batch, height, width, 3) if (
            batch in _ONE_IMAGE and 0 < min(height, width) <= max(height, width) <= MOST_PIXELS
        ):
            return InputSpec(height=height, width=width)
        case shape:
            raise PupilaError(
                f"{str(source)!r} takes {shape}. Expected (1, height, width, 3), one RGB image of "
                f"a fixed size, at most {MOST_PIXELS} a side: export the model with that input."
            )


def _check_range(source: Path, image: TensorIO) -> None:
    """Refuse a quantised input whose range would clip raw pixels, or turn all nearly black."""
    if not image.scale:
        return
    low, high = image.real_range
    if low > _HIGHEST_LOW_END or not _HIGH_ENDS[0] <= high <= _HIGH_ENDS[1]:
        raise PupilaError(
            f"{str(source)!r} takes quantised numbers from {low:.3g} to {high:.3g}. Expected raw "
            f"RGB, 0 to 255: put the scaling of pixels inside the model and export it again."
        )


def _check_columns(source: Path, model: LiteRTModel, output: OutputSpec) -> OutputSpec:
    """Check that the model gives the declared values, and return what it gives."""
    shape = model.output.shape
    if output.task != CLASSIFICATION:
        return _declared(source, shape, output)
    if not shape or shape[0] not in _ONE_IMAGE or model.output.values_per_image != output.columns:
        raise PupilaError(
            f"{str(source)!r} gives {shape}, but {output.kind} over {list_names(output.classes)} "
            f"is (1, {output.columns}): correct `classes` or `output` of the teacher."
        )
    return output


def _declared(source: Path, shape: tuple[int, ...], output: OutputSpec) -> OutputSpec:
    """Let the task, which is not classification, say what an output of this shape is."""
    if not shape or shape[0] not in _ONE_IMAGE or min(shape[1:], default=1) < 1:
        raise PupilaError(
            f"{str(source)!r} gives {shape}. Expected (1, …), the output for one image, of a fixed "
            f"size: export the model with that output."
        )
    return methods_of(output.task).declared(output, shape[1:])


def _check_kind(
    source: Path, outputs: NDArray[np.float32], output: OutputSpec, sum_error: float
) -> None:
    """Refuse a model whose `outputs` `(images, columns)` cannot be of the declared kind."""
    if output.task != CLASSIFICATION:
        misfit = methods_of(output.task).misfit(output, outputs, len(outputs))
        if misfit:
            raise PupilaError(
                f"{str(source)!r} answers with {misfit}: correct `output` of the teacher."
            )
        return
    fractions = outputs.min() >= -_SUM_ERROR and outputs.max() <= 1 + _SUM_ERROR
    sums = outputs.sum(axis=1)
    sum_to_one = np.abs(sums - 1).max() <= sum_error
    if output.kind == "logits" and fractions and sum_to_one:
        raise PupilaError(
            f"{str(source)!r} answers with fractions that sum to one, but its output is declared "
            f"logits: it looks like a softmax: set `output: softmax`."
        )
    problem = None
    if not np.isfinite(outputs).all():
        problem = "numbers that are not finite"
    elif output.kind != "logits" and not fractions:
        problem = f"numbers from {outputs.min():.3g} to {outputs.max():.3g}"
    elif output.kind == "softmax" and not sum_to_one:
        problem = f"columns that sum to {sums[0]:.3g}"
    if problem:
        raise PupilaError(
            f"{str(source)!r} answers with {problem}, which is not a {output.kind} output: correct "
            f"`output` of the teacher (softmax, logits or sigmoid)."
        )
