"""The loader of TFLite flatbuffers: checks a flatbuffer by running it, and copies it unchanged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from pupila import OutputSpec, PupilaError, StepResult
from pupila.imported import check_columns, check_kind, input_spec
from pupila.litert.tensor_io import TensorIO
from pupila.measured import Measured
from pupila.pixel_scaling import PixelScaling
from pupila.probes import draw_probes
from pupila.runtime import ignore_progress
from pupila_tflite.flatbuffer import MODEL_NAME, Graph
from pupila_tflite.runner import LiteRTModel
from pupila_tflite.scaling import with_scaling

_PROBE_SEED = 0
_HIGHEST_LOW_END = 20
_HIGH_ENDS = (200, 320)
"""Lowest and highest allowed value of the upper end of a quantised input's range.

Calibration on images in 0..255 gives such an upper end; the limits add a margin.
"""


def load(
    source: Path, output: OutputSpec, folder: Path, scaling: PixelScaling | None = None
) -> StepResult:
    """Copy a flatbuffer, float or quantised, that takes one RGB image in 0..255.

    `output` is the declared output. A `scaling` is built into a flatbuffer that takes float32.

    Raises:
        PupilaError: LiteRT cannot run the model; the input is not an RGB image, or is quantised for
            a range other than 0..255; the number of output columns differs from the declared
            number; the outputs are not of the declared kind; or scaling is to be built into a
            quantised input.
    """
    model = LiteRTModel(source, threads=1)
    spec = input_spec(source, model.input.shape)
    if scaling:
        _write_scaled(source, model.input, scaling, folder / MODEL_NAME)
        model = LiteRTModel(folder / MODEL_NAME, threads=1)
    else:
        _check_range(source, model.input)
    output = check_columns(source, model.output.shape, output)
    outputs = model.predict(draw_probes(spec, _PROBE_SEED), ignore_progress)
    check_kind(source, outputs, output, model.output.scale)
    if not scaling:
        shutil.copyfile(source, folder / MODEL_NAME)
    graph = Graph(folder / MODEL_NAME)
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


def _write_scaled(source: Path, image: TensorIO, scaling: PixelScaling, target: Path) -> None:
    """Write a flatbuffer with the scaling of pixels in front; refuse one that takes integers."""
    if image.dtype != np.float32:
        raise PupilaError(
            f"{str(source)!r} takes {image.dtype.name}, into which `preprocess: {scaling.name}` "
            f"cannot be built: give the float model that it was made from, and quantise it in a "
            f"step."
        )
    target.write_bytes(with_scaling(source.read_bytes(), scaling))


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
