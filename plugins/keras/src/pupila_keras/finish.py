"""The end of every Keras loader: check the model, bring it to Keras 3, write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pupila import OutputSpec, StepResult, keras_files
from pupila.measured import Measured
from pupila_keras.border import import_keras, import_tf_keras
from pupila_keras.probe import answers
from pupila_keras.reading import library
from pupila_keras.specs import check_columns, check_kind, input_contract, shapes_of
from pupila_keras.translate import to_keras_3


def finish(model: Any, output: OutputSpec, folder: Path, written_by: str) -> StepResult:
    """Write a loaded model of either Keras line into `folder`, if it is what is declared.

    Raises:
        PupilaError: it does not take one RGB image, or does not give the declared output.
    """
    contract = input_contract(shapes_of(model, "inputs"))
    check_columns(shapes_of(model, "outputs"), output)
    model = _of_tensors(model, is_legacy(written_by))
    measured: dict[str, Any] = {"written_by": f"Keras {written_by}"}
    if is_legacy(written_by):
        model, measured["translation_difference"] = to_keras_3(model)
    check_kind(answers(model), output)
    with library("Keras cannot save it again"):
        keras_files.save(model, folder)
    return StepResult(
        format="keras",
        input=contract,
        output=output,
        parameters=keras_files.parameters(model),
        macs=_macs(model),
        measured=Measured(measured),
    )


def _of_tensors(model: Any, legacy: bool) -> Any:
    """Rebuild a model that takes or gives a list or dict of one tensor to do without it."""
    graph = getattr(model, "_functional", model)  # of a Sequential of Keras 3
    if not isinstance(graph.input, list | dict) and not isinstance(graph.output, list | dict):
        return model
    keras = import_tf_keras() if legacy else import_keras()
    return keras.Model(model.inputs[0], model.outputs[0])


def _macs(model: Any) -> int | None:
    """Count multiply-accumulates; None where a nested model leaves its image size open."""
    try:
        return keras_files.macs(model)
    except ValueError:
        return None


def is_legacy(version: str) -> bool:
    """Whether a file of this Keras version is read by the Keras 2 line."""
    return not version.startswith("3.")
