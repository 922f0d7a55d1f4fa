"""The exporter `export-tflite`: writes the float32 flatbuffer that quantisation starts from.

The flatbuffer's input is `(1, height, width, 3)` float32, raw RGB 0..255; preprocessing is part of
the model. LiteRT.js and the calibration of int8 need the fixed batch size of one.
"""

from __future__ import annotations

import gc
import re
import tempfile
from pathlib import Path

from pupila import Config, PupilaError, Step, StepResult, keras_files
from pupila.errors import join_names
from pupila.measured import Measured
from pupila.probes import compare_outputs, draw_probes
from pupila.runtime import ignore_progress
from pupila.threads import model_threads
from pupila_tflite.flatbuffer import MODEL_NAME, Graph
from pupila_tflite.runner import LiteRTModel
from pupila_tflite.saving import save_static

tf = keras_files.import_tensorflow()

_LACKING = re.compile(
    r"""error: loc\(.*?"\w+:", "([^"@]*).*?'tf\.(\w+)' op is neither a custom op""", re.DOTALL
)
"""What the converter writes of an operation that LiteRT lacks: its path in the graph, its name."""
_STAGES = 3
_TOLERANCE = 1e-4
"""Largest allowed difference of outputs: see `compare_outputs`."""


def export(step: Step[Config]) -> StepResult:
    """Convert a model to `model.tflite`, and check that LiteRT returns the same outputs.

    The export of a VGG19 of 574 MB needed 5.3 GB of memory.

    Raises:
        PupilaError: LiteRT lacks an operator that the model needs, the flatbuffer's outputs differ
            from the model's, or LiteRT cannot run the flatbuffer.
    """
    (artifact,) = step.inputs
    target = step.output / MODEL_NAME
    probes = draw_probes(artifact.record.input, step.seed)
    with tempfile.TemporaryDirectory(dir=step.scratch) as folder:
        expected = save_static(artifact, probes, Path(folder))
        step.progress(1, _STAGES, "stages")
        _free_model()
        target.write_bytes(_convert(folder))
    step.progress(2, _STAGES, "stages")
    comparison = compare_outputs(
        LiteRTModel(target, model_threads()).predict(probes, ignore_progress),
        expected,
        _TOLERANCE,
        what="flatbuffer",
        advice="Remove layers that behave differently in inference, or report the model's layers.",
    )
    step.progress(3, _STAGES, "stages")
    graph = Graph(target)
    return StepResult.like(
        artifact,
        format="tflite",
        parameters=graph.parameters,
        macs=graph.macs,
        measured=Measured(comparison),
    )


def _convert(folder: str) -> bytes:
    """Convert a SavedModel; name the operations that LiteRT lacks, with their layers."""
    try:
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    except Exception as error:  # ConverterError, which TensorFlow does not export
        lacking = lacking_operations(str(error))
        if not lacking:
            raise
        raise PupilaError(
            f"LiteRT has no operators, or not of these numbers' type, for {join_names(lacking)}: "
            f"replace the layers that need them, and export again."
        ) from error


def lacking_operations(message: str) -> list[str]:
    """Return the operations that a converter's message names, as `ResizeBicubic (in resizing)`."""
    operations = {
        f"{operation} (in {path.split('/')[1]})" if "/" in path else operation: None
        for path, operation in _LACKING.findall(message)
    }
    return [*operations]


def _free_model() -> None:
    """Free the memory of the Keras model, as the converter makes its own copies of the weights."""
    keras_files.import_keras().utils.clear_session()
    gc.collect()
