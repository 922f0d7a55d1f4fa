"""The exporter `export-onnx`: Keras model or TFLite flatbuffer → one ONNX file.

The file takes float32 `(batch, height, width, 3)`, raw RGB 0..255, and preprocessing is part of the
model. The number of images is open in a file of a Keras model, and one in a file of a flatbuffer.
"""

from __future__ import annotations

import gc
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, Step, StepResult, keras_files
from pupila.measured import Measured
from pupila.predictions import open_model
from pupila.probes import compare_outputs, draw_probes
from pupila.runtime import ignore_progress
from pupila.threads import model_threads
from pupila_onnx.config import ExportOnnx
from pupila_onnx.converter import convert
from pupila_onnx.files import MODEL_NAME, write
from pupila_onnx.graph import Graph
from pupila_onnx.runner import OnnxModel

_STAGES = 3
_TOLERANCE, _QUANTIZED_TOLERANCE = 1e-4, 0.05
"""Largest allowed difference of outputs: see `compare_outputs`.

Kernels of two runtimes may round to neighbouring integers, and in `quantize-dynamic` LiteRT
quantises activations, which ONNX keeps in float.
"""


def export(step: Step[ExportOnnx]) -> StepResult:
    """Convert a model to `model.onnx`, and check that ONNX Runtime returns the same outputs.

    Raises:
        PupilaError: the model has an operation or a type that has no counterpart in ONNX, or the
            file's outputs differ from the model's.
    """
    (artifact,) = step.inputs
    target = step.output / MODEL_NAME
    probes = draw_probes(artifact.record.input, step.seed)
    expected = _outputs(artifact, probes)
    step.progress(1, _STAGES, "stages")
    with tempfile.TemporaryDirectory(dir=step.scratch) as folder:
        model = convert(artifact, step.config.opset, Path(folder))
    write(model, target)
    step.progress(2, _STAGES, "stages")
    comparison = compare_outputs(
        OnnxModel(target, model_threads()).predict(probes, ignore_progress),
        expected,
        _QUANTIZED_TOLERANCE if Graph(model).is_quantized else _TOLERANCE,
        what="ONNX file",
        advice="Try another `opset`, or report the model's layers.",
    )
    step.progress(3, _STAGES, "stages")
    return StepResult.like(artifact, format="onnx", measured=Measured(comparison))


def _outputs(artifact: Artifact, probes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a model's outputs `(images, columns)` in its own runtime, and free its memory."""
    with closing(open_model(artifact)) as model:
        outputs = model.predict(probes, ignore_progress)
    if artifact.format == "keras":
        keras_files.import_keras().utils.clear_session()
    gc.collect()
    return outputs
