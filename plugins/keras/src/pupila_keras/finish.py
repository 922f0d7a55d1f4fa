"""Last stage of all Keras loaders: checks a loaded model, and writes it as a Keras 3 model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pupila import OutputSpec, StepResult, keras_files
from pupila.measured import Measured
from pupila.pixel_scaling import PixelScaling
from pupila_keras.augmentation import without_augmentation
from pupila_keras.checks import check_columns, check_kind, input_spec, shapes_of
from pupila_keras.keras_imports import import_keras, import_tf_keras
from pupila_keras.probe import predict_probes
from pupila_keras.reading import library_errors
from pupila_keras.scaling import with_scaling
from pupila_keras.translate import to_keras_3


def finish(
    model: Any,
    output: OutputSpec,
    folder: Path,
    written_by: str,
    scaling: PixelScaling | None = None,
) -> StepResult:
    """Write a loaded Keras 2 or 3 model into `folder` as a Keras 3 model, after checking it.

    `output` is the declared output, `written_by` is the Keras version that wrote the model's file,
    and `scaling` is built into the model. `measured` of the result contains `written_by`. For a
    model of Keras 2 it also contains `translation_difference`, how much translation changed the
    outputs (see `pupila_keras.translate`).

    Raises:
        PupilaError: the model does not take one RGB image, does not have the declared output, or
            cannot be translated to Keras 3 or saved.
    """
    spec = input_spec(shapes_of(model, "inputs"))
    output = check_columns(shapes_of(model, "outputs"), output)
    model = _without_containers(model, is_legacy(written_by))
    measured: dict[str, Any] = {"written_by": f"Keras {written_by}"}
    if is_legacy(written_by):
        model, measured["translation_difference"] = to_keras_3(model)
    model = without_augmentation(model)
    if scaling:
        model = with_scaling(model, scaling)
    check_kind(predict_probes(model), output)
    with library_errors("Keras cannot save it again"):
        keras_files.save(model, folder)
    return StepResult(
        format="keras",
        input=spec,
        output=output,
        parameters=keras_files.parameters(model),
        macs=keras_files.macs(model),
        measured=Measured(measured),
    )


def _without_containers(model: Any, legacy: bool) -> Any:
    """Return a model whose input and output are tensors, not a list or dict of one tensor."""
    graph = getattr(model, "_functional", model)  # a Sequential of Keras 3 has one
    if not isinstance(graph.input, list | dict) and not isinstance(graph.output, list | dict):
        return model
    keras = import_tf_keras() if legacy else import_keras()
    return keras.Model(model.inputs[0], model.outputs[0])


def is_legacy(version: str) -> bool:
    """Return whether a file of this Keras version must be read by Keras 2 (`tf_keras`)."""
    return not version.startswith("3.")
