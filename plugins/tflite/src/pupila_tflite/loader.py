"""The loader of flatbuffers: runs one before it takes it, and keeps the file as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import InputSpec, OutputSpec, PupilaError, StepResult
from pupila.errors import list_names
from pupila.litert.tensor_io import TensorIO
from pupila.measured import Measured
from pupila.spec import MOST_PIXELS
from pupila_tflite.flatbuffer import MODEL_NAME, Graph
from pupila_tflite.probes import draw_probes, ignore_progress
from pupila_tflite.runner import LiteRTModel

_ONE_IMAGE = (1, -1)
_PROBE_SEED = 0
_SUM_ERROR = 0.02
"""How far a softmax is from a sum of one before its columns are rounded to a scale."""
_HIGHEST_LOW_END = 20
_HIGH_ENDS = (200, 320)
"""What a calibration on real images in 0..255 gives as the largest input, with room."""


def load(source: Path, output: OutputSpec, folder: Path) -> StepResult:
    """Take a flatbuffer of one RGB image in 0..255, float or quantised.

    Raises:
        PupilaError: LiteRT cannot run it, its input is no RGB image or is quantised for numbers
            other than 0..255, its output has another width than `output`, or its answers are not
            of the declared kind.
    """
    model = LiteRTModel(source, threads=1)
    contract = _input_contract(source, model)
    _check_range(source, model.input)
    _check_width(source, model, output)
    answers = model.predict(draw_probes(contract, _PROBE_SEED), ignore_progress)
    sum_error = _SUM_ERROR + output.columns * model.output.scale / 2
    _check_kind(source, answers, output, sum_error)
    shutil.copyfile(source, folder / MODEL_NAME)
    graph = Graph(source)
    return StepResult(
        format="tflite",
        input=contract,
        output=output,
        parameters=graph.parameters,
        macs=graph.macs,
        measured=Measured(
            {"input_type": model.input.dtype.name, "output_type": model.output.dtype.name}
        ),
    )


def _input_contract(source: Path, model: LiteRTModel) -> InputSpec:
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
    """Refuse a quantised input that would clip raw pixels, or see them all as nearly black."""
    if not image.scale:
        return
    low, high = image.real_range
    if low > _HIGHEST_LOW_END or not _HIGH_ENDS[0] <= high <= _HIGH_ENDS[1]:
        raise PupilaError(
            f"{str(source)!r} takes quantised numbers from {low:.3g} to {high:.3g}. Expected raw "
            f"RGB, 0 to 255: put the scaling of pixels inside the model and export it again."
        )


def _check_width(source: Path, model: LiteRTModel, output: OutputSpec) -> None:
    shape = model.output.shape
    if not shape or shape[0] not in _ONE_IMAGE or model.output.values_per_image != output.columns:
        raise PupilaError(
            f"{str(source)!r} gives {shape}, but {output.kind} over {list_names(output.classes)} "
            f"is (1, {output.columns}): correct `classes` or `output` of the teacher."
        )


def _check_kind(
    source: Path, answers: NDArray[np.float32], output: OutputSpec, sum_error: float
) -> None:
    """Refuse answers to a few drawn images that cannot be of the declared kind."""
    fractions = answers.min() >= -_SUM_ERROR and answers.max() <= 1 + _SUM_ERROR
    sums = answers.sum(axis=1)
    sum_to_one = np.abs(sums - 1).max() <= sum_error
    if output.kind == "logits" and fractions and sum_to_one:
        raise PupilaError(
            f"{str(source)!r} answers with fractions that sum to one, but its output is declared "
            f"logits: it looks like a softmax: set `output: softmax`."
        )
    problem = None
    if not np.isfinite(answers).all():
        problem = "numbers that are not finite"
    elif output.kind != "logits" and not fractions:
        problem = f"numbers from {answers.min():.3g} to {answers.max():.3g}"
    elif output.kind == "softmax" and not sum_to_one:
        problem = f"columns that sum to {sums[0]:.3g}"
    if problem:
        raise PupilaError(
            f"{str(source)!r} answers with {problem}, which is no {output.kind}: correct `output` "
            f"of the teacher (softmax, logits or sigmoid)."
        )
