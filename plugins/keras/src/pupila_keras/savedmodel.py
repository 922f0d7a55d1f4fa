"""Takes over TensorFlow SavedModel folders as they are, and finds what they serve."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from pupila import Artifact, OutputSpec, PupilaError, StepResult
from pupila.errors import list_names
from pupila_keras import probe
from pupila_keras.border import import_tensorflow
from pupila_keras.operations import check_operations
from pupila_keras.reading import library, naming
from pupila_keras.specs import check_columns, check_kind, input_contract

_PARTS = ("saved_model.pb", "fingerprint.pb", "variables", "assets")


@dataclass(frozen=True)
class Served:
    """The one function of a SavedModel that answers images."""

    function: Any
    input_name: str
    input_shape: tuple[int | None, ...]
    input_type: Any
    output_name: str
    output_shape: tuple[int | None, ...]
    owner: Any
    """The loaded object: its variables live as long as it does."""

    def __call__(self, images: Any) -> Any:
        """Map float images `(batch, height, width, 3)` to raw outputs `(batch, columns)`."""
        cast = import_tensorflow().cast(images, self.input_type)
        return self.function(**{self.input_name: cast})[self.output_name]


def load(source: Path, output: OutputSpec, folder: Path) -> StepResult:
    """Copy a SavedModel into `folder`, if it serves what is declared.

    Raises:
        PupilaError: it is damaged, reads or writes files, or is no classifier of images with the
            declared output.
    """
    with naming(source):
        for part in _PARTS:
            _copy(source / part, folder / part)
        model = served(folder)
        contract = input_contract([model.input_shape])
        check_columns([model.output_shape], output)
        check_kind(_answers(model), output)
        return StepResult(
            format="savedmodel", input=contract, output=output, parameters=_parameters(model.owner)
        )


def check(artifact: Artifact) -> None:
    """Refuse an artifact that would reach outside the model.

    Raises:
        PupilaError: it is damaged, holds links, or reads or writes files.
    """
    with naming(artifact.path):
        for part in _PARTS:
            _check_files(artifact.path / part)
        check_operations(_stored(artifact.path))


def served(folder: Path) -> Served:
    """Load a SavedModel and return the function that it serves.

    Raises:
        PupilaError: it reads or writes files, cannot be loaded, or serves no function of one input
            and one output.
    """
    check_operations(_stored(folder))
    with library("TensorFlow cannot load it"):
        loaded = import_tensorflow().saved_model.load(str(folder))
    signatures = getattr(loaded, "signatures", None)
    if not isinstance(signatures, Mapping):  # any object of the file may be called so
        raise PupilaError(
            "it has no signatures, by which TensorFlow finds what it serves: damaged."
        )
    function: Any = cast("Mapping[str, Any]", signatures).get("serving_default")
    if function is None:
        names = ", ".join(sorted(cast("Mapping[str, Any]", signatures))) or "none"
        raise PupilaError(f"it has no signature 'serving_default': its signatures are: {names}.")
    inputs, outputs = function.structured_input_signature[1], function.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise PupilaError(
            f"it serves {len(outputs)} outputs {list_names(sorted(outputs))} of {len(inputs)} "
            f"inputs {list_names(sorted(inputs))}: expected one of one."
        )
    ((input_name, taken),) = inputs.items()
    ((output_name, given),) = outputs.items()
    return Served(
        function=function,
        input_name=input_name,
        input_shape=_shape(taken),
        input_type=taken.dtype,
        output_name=output_name,
        output_shape=_shape(given),
        owner=loaded,
    )


def _shape(tensor: Any) -> tuple[int | None, ...]:
    return () if tensor.shape.rank is None else tuple(tensor.shape)


def _stored(source: Path) -> Any:
    """Return the message of a SavedModel's `saved_model.pb`, without loading the model."""
    stored = import_module("tensorflow.core.protobuf.saved_model_pb2").SavedModel()
    with library("saved_model.pb is damaged"):
        stored.ParseFromString((source / "saved_model.pb").read_bytes())
    return stored


def _answers(model: Served) -> Any:
    batch, height, width, _ = model.input_shape
    images = probe.images(height or 0, width or 0)
    if batch:
        images = np.resize(images, (batch, *images.shape[1:]))
    with library("it cannot answer an image"):
        tensor = import_tensorflow().constant(images)
        return np.asarray(model(tensor), np.float32)


def _parameters(loaded: Any) -> int | None:
    """Count the weights; None where they are constants of the graph."""
    return sum(math.prod(each.shape) for each in getattr(loaded, "variables", ())) or None


def _copy(source: Path, target: Path) -> None:
    """Copy a part of a SavedModel, all of which must lie in its folder.

    Raises:
        PupilaError: it is a link or holds one, or something else than files.
    """
    _check_files(source)
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        shutil.copyfile(source, target)


def _check_files(part: Path) -> None:
    inside = part.is_dir() and not part.is_symlink()
    for path in [part, *(part.rglob("*") if inside else ())]:
        if path.is_symlink() or (path.exists() and not path.is_file() and not path.is_dir()):
            raise PupilaError(
                f"its {path.relative_to(part.parent)} is {_kind(path)}: expected plain files. "
                "Copy the folder with what its links lead to (cp -rL)."
            )


def _kind(path: Path) -> str:
    return "a link" if path.is_symlink() else "no file"
