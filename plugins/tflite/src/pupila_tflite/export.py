"""The exporter `export-tflite`: writes the float32 flatbuffer that quantisation starts from.

The flatbuffer's input is `(1, height, width, 3)` float32, raw RGB 0..255; preprocessing is part of
the model. LiteRT.js and the calibration of int8 need the fixed batch size of one.
"""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import Config, PupilaError, Step, StepResult, keras_files
from pupila.measured import Measured, ProbeComparison
from pupila.runtime import ignore_progress
from pupila.threads import model_threads
from pupila_tflite.flatbuffer import MODEL_NAME, Graph
from pupila_tflite.probes import draw_probes
from pupila_tflite.runner import LiteRTModel
from pupila_tflite.saving import save_static

tf = keras_files.import_tensorflow()

_STAGES = 3
_TOLERANCE = 1e-4
"""Largest allowed difference of outputs; a fraction of the largest output if that exceeds 1."""


def export(step: Step[Config]) -> StepResult:
    """Convert a model to `model.tflite`, and check that LiteRT returns the same outputs.

    The export of a VGG19 of 574 MB needed 5.3 GB of memory.

    Raises:
        PupilaError: the flatbuffer's outputs differ from the model's, or LiteRT cannot run the
            flatbuffer.
    """
    (artifact,) = step.inputs
    target = step.output / MODEL_NAME
    probes = draw_probes(artifact.record.input, step.seed)
    with tempfile.TemporaryDirectory(dir=step.scratch) as folder:
        expected = save_static(artifact, probes, Path(folder))
        step.progress(1, _STAGES, "stages")
        _free_model()
        target.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
    step.progress(2, _STAGES, "stages")
    difference = _difference(target, probes, expected)
    step.progress(3, _STAGES, "stages")
    graph = Graph(target)
    return StepResult.like(
        artifact,
        format="tflite",
        parameters=graph.parameters,
        macs=graph.macs,
        measured=Measured(ProbeComparison(max_difference=difference, probe_images=len(probes))),
    )


def _free_model() -> None:
    """Free the memory of the Keras model, as the converter makes its own copies of the weights."""
    keras_files.import_keras().utils.clear_session()
    gc.collect()


def _difference(target: Path, probes: NDArray[np.uint8], expected: NDArray[np.float32]) -> float:
    """Return the largest absolute difference of the flatbuffer's outputs from `expected`.

    Raises:
        PupilaError: the difference is too large.
    """
    outputs = LiteRTModel(target, model_threads()).predict(probes, ignore_progress)
    difference = float(np.abs(outputs - expected.reshape(outputs.shape)).max())
    limit = _TOLERANCE * max(1.0, float(np.abs(expected).max()))
    if not difference <= limit:  # refuses NaN too
        raise PupilaError(
            f"The flatbuffer's outputs differ from the model's by up to {difference:.3g} on "
            f"{len(probes)} drawn images: expected at most {limit:.3g}. Remove layers that behave "
            f"differently in inference, or report the model's layers."
        )
    return difference
