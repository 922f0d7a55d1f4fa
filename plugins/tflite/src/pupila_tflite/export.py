"""The exporter `export-tflite`: one float32 flatbuffer, from which every other form is made.

Its input is `(1, height, width, 3)` float32, raw RGB 0..255: the batch is fixed because LiteRT.js
and the calibration of int8 want it so, and preprocessing lies inside.
"""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import Config, PupilaError, Step, StepResult, keras_files
from pupila.measured import Measured, ProbeComparison
from pupila.threads import model_threads
from pupila_tflite.flatbuffer import MODEL_NAME, Graph
from pupila_tflite.probes import draw_probes, ignore_progress
from pupila_tflite.runner import LiteRTModel
from pupila_tflite.saving import save_static

tf = keras_files.import_tensorflow()

_STAGES = 3
_TOLERANCE = 1e-4
"""Of the answers, or of the largest of them where they are logits beyond one."""


def export(step: Step[Config]) -> StepResult:
    """Write `model.tflite` and compare what LiteRT answers with what the model itself does.

    On a 574 MB VGG19 the process peaked at 5.3 GB.

    Raises:
        PupilaError: the flatbuffer answers otherwise than the model, or LiteRT cannot run it.
    """
    (artifact,) = step.inputs
    target = step.output / MODEL_NAME
    probes = draw_probes(artifact.record.input, step.seed)
    with tempfile.TemporaryDirectory(dir=step.scratch) as folder:
        expected = save_static(artifact, probes, Path(folder))
        step.progress(1, _STAGES, "stages")
        _release()
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


def _release() -> None:
    """Let go of the Keras model: the converter makes copies of its weights of its own."""
    keras_files.import_keras().utils.clear_session()
    gc.collect()


def _difference(target: Path, probes: NDArray[np.uint8], expected: NDArray[np.float32]) -> float:
    """Return the largest absolute difference of the flatbuffer's answers from `expected`."""
    answers = LiteRTModel(target, model_threads()).predict(probes, ignore_progress)
    difference = float(np.abs(answers - expected.reshape(answers.shape)).max())
    limit = _TOLERANCE * max(1.0, float(np.abs(expected).max()))
    if not difference <= limit:  # so written that "not a number" is refused too
        raise PupilaError(
            f"The flatbuffer answers otherwise than the model: up to {difference:.3g} apart on "
            f"{len(probes)} drawn images, where {limit:.3g} was expected at most. Take layers out "
            f"of the model that behave otherwise in inference, or report the model's layers."
        )
    return difference
