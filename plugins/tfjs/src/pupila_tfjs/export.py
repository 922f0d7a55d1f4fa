"""The exporter `export-tfjs`: Keras 3 model → SavedModel → TF.js graph model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pupila import InputSpec, Step, StepResult, keras_files
from pupila.measured import Measured
from pupila_tfjs.config import ExportTfjs
from pupila_tfjs.converter import check_operations, convert
from pupila_tfjs.einsum import einsum_as_products
from pupila_tfjs.graph import (
    flatten_biases,
    replace_complements,
    separate_sums,
    sort_nodes,
)

_STAGES = 2


def export(step: Step[ExportTfjs]) -> StepResult:
    """Convert a Keras model, and write `model.json` and its weight shards.

    The written model takes one image at a time, `(1, height, width, 3)` float32.

    Raises:
        PupilaError: the model has an operation that TF.js lacks; the message names it.
    """
    (artifact,) = step.inputs
    with tempfile.TemporaryDirectory(dir=step.scratch) as folder:
        saved_model = Path(folder)
        _save(keras_files.load(artifact), artifact.record.input, saved_model)
        step.progress(1, _STAGES, "stages")
        convert(saved_model, step.output, step.config.weights)
    graph = step.output / "model.json"
    changes = {
        "flattened_biases": flatten_biases(graph),
        "separated_sums": separate_sums(graph),
        "replaced_complements": replace_complements(graph),
    }
    check_operations(graph)
    sort_nodes(graph)
    step.progress(2, _STAGES, "stages")
    return StepResult.like(artifact, format="tfjs", measured=Measured(changes))


def _save(model: Any, spec: InputSpec, folder: Path) -> None:
    """Write a SavedModel with a batch size of one, so that every shape in the graph is known."""
    keras = keras_files.import_keras()
    image = keras.InputSpec(shape=(1, *spec.shape), dtype="float32", name="image")
    with einsum_as_products():
        model.export(folder, format="tf_saved_model", verbose=False, input_signature=[image])
