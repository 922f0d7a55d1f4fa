"""Last stage of all Keras loaders: checks a loaded model, converts it to Keras 3 and writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pupila import OutputSpec, StepResult, keras_files
from pupila.measured import Measured
from pupila_keras.checks import check_columns, check_kind, input_spec, shapes_of
from pupila_keras.keras_imports import import_keras, import_tf_keras
from pupila_keras.probe import predict_probes
from pupila_keras.reading import library_errors
from pupila_keras.translate import to_keras_3


def finish(model: Any, output: OutputSpec, folder: Path, written_by: str) -> StepResult:
    """Write a loaded Keras 2 or 3 model into `folder` as Keras 3, if it matches its declaration.

    Raises:
        PupilaError: the model does not take one RGB image, or lacks the declared output.
    """
    spec = input_spec(shapes_of(model, "inputs"))
    check_columns(shapes_of(model, "outputs"), output)
    model = _without_containers(model, is_legacy(written_by))
    measured: dict[str, Any] = {"written_by": f"Keras {written_by}"}
    if is_legacy(written_by):
        model, measured["translation_difference"] = to_keras_3(model)
    check_kind(predict_probes(model), output)
    with library_errors("Keras cannot save it again"):
        keras_files.save(model, folder)
    return StepResult(
        format="keras",
        input=spec,
        output=output,
        parameters=keras_files.parameters(model),
        macs=_macs(model),
        measured=Measured(measured),
    )


def _without_containers(model: Any, legacy: bool) -> Any:
    """Replace an input or output that is a list or dict of one tensor by the tensor itself."""
    graph = getattr(model, "_functional", model)  # a Sequential of Keras 3 has one
    if not isinstance(graph.input, list | dict) and not isinstance(graph.output, list | dict):
        return model
    keras = import_tf_keras() if legacy else import_keras()
    return keras.Model(model.inputs[0], model.outputs[0])


def _macs(model: Any) -> int | None:
    """Count multiply-accumulates; None if a nested model leaves its image size open."""
    try:
        return keras_files.macs(model)
    except ValueError:
        return None


def is_legacy(version: str) -> bool:
    """Whether Keras 2 (`tf_keras`) must read the files that this Keras version wrote."""
    return not version.startswith("3.")
