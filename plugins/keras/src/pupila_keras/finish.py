"""The end of every Keras loader: check the model, bring it to Keras 3, write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pupila import OutputContract, Product, keras_files
from pupila_keras.contracts import check_columns, check_kind, input_contract, shapes_of
from pupila_keras.probe import answers
from pupila_keras.translate import to_keras_3


def finish(model: Any, output: OutputContract, folder: Path, written_by: str) -> Product:
    """Write a loaded model of either Keras line into `folder`, if it is what is declared.

    Raises:
        PupilaError: it does not take one RGB image, or does not give the declared output.
    """
    contract = input_contract(shapes_of(model, "inputs"))
    check_columns(shapes_of(model, "outputs"), output)
    measured: dict[str, Any] = {"written_by": f"Keras {written_by}"}
    if is_legacy(written_by):
        model, measured["translation_difference"] = to_keras_3(model)
    check_kind(answers(model), output)
    keras_files.save(model, folder)
    return Product(
        format="keras",
        input=contract,
        output=output,
        parameters=keras_files.parameters(model),
        macs=keras_files.macs(model),
        measured=measured,
    )


def is_legacy(version: str) -> bool:
    """Whether a file of this Keras version is read by the Keras 2 line."""
    return not version.startswith("3.")
