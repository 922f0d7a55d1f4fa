"""Copies TensorFlow SavedModel folders unchanged, and finds their serving function."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from pupila import Artifact, OutputSpec, PupilaError, StepResult
from pupila.errors import list_names
from pupila.pixel_scaling import PixelScaling
from pupila_keras.checks import check_columns, check_kind, input_spec
from pupila_keras.keras_imports import import_tensorflow
from pupila_keras.operations import check_operations
from pupila_keras.probe import draw_probes
from pupila_keras.reading import file_errors, library_errors

_REPEATS = 1e-4
"""Largest difference, absolute and relative, of two answers of a model to the same image."""
_SIGNATURE = "serving_default"
_ENTRIES = ("saved_model.pb", "fingerprint.pb", "variables", "assets")


@dataclass(frozen=True)
class ServingFunction:
    """The function of a loaded SavedModel that computes outputs from images."""

    function: Any
    input_name: str
    input_shape: tuple[int | None, ...]
    input_type: Any
    output_name: str
    output_shape: tuple[int | None, ...]
    owner: Any
    """The loaded SavedModel, which keeps the variables alive."""

    def __call__(self, images: Any) -> Any:
        """Return the raw outputs `(batch, columns)` of float images `(batch, height, width, 3)`."""
        cast = import_tensorflow().cast(images, self.input_type)
        return self.function(**{self.input_name: cast})[self.output_name]


def load(
    source: Path, output: OutputSpec, folder: Path, scaling: PixelScaling | None = None
) -> StepResult:
    """Copy a SavedModel into `folder`, after checking that the model has the declared output.

    If there is a `scaling`, the model is written again with it in front.

    Raises:
        PupilaError: the model is damaged, contains links, reads or writes files, or is not a
            classifier of images with the declared output.
    """
    with file_errors(source):
        if scaling:
            with tempfile.TemporaryDirectory() as copy:
                _copy_model(source, Path(copy))
                _save_scaled(Path(copy), scaling, folder)
        else:
            _copy_model(source, folder)
        model = load_signature(folder)
        spec = input_spec([model.input_shape])
        output = check_columns([model.output_shape], output)
        outputs = _predict_probes(model)
        if not np.allclose(outputs, _predict_probes(model), rtol=_REPEATS, atol=_REPEATS):
            raise PupilaError(
                "it answers the same image otherwise when it is asked again, as with layers that "
                "alter images at random: export it without them, or save the model as .keras."
            )
        check_kind(outputs, output)
        return StepResult(
            format="savedmodel", input=spec, output=output, parameters=_parameters(model.owner)
        )


def _copy_model(source: Path, folder: Path) -> None:
    for name in _ENTRIES:
        _copy(source / name, folder / name)


def _save_scaled(source: Path, scaling: PixelScaling, folder: Path) -> None:
    """Write a SavedModel of raw RGB in 0..255 that answers as the one in `source` when scaled."""
    tf = import_tensorflow()
    model = load_signature(source)
    spec = input_spec([model.input_shape])

    def answer(image: Any) -> dict[str, Any]:
        pixels = image * tf.constant(scaling.factors) + tf.constant(scaling.terms)
        return {model.output_name: model(pixels[..., ::-1] if scaling.reverses else pixels)}

    image = tf.TensorSpec((model.input_shape[0], *spec.shape), tf.float32, name=model.input_name)
    module = tf.Module()
    module.model = model.owner
    module.answer = tf.function(answer, input_signature=[image])
    with library_errors("the scaling of pixels cannot be built into it"):
        tf.saved_model.save(module, str(folder), signatures={_SIGNATURE: module.answer})
    (folder / "fingerprint.pb").unlink()  # has a random number: the same model has the same bytes


def check(artifact: Artifact) -> None:
    """Refuse an artifact that could affect anything outside the model.

    Raises:
        PupilaError: the artifact is damaged, contains links, or reads or writes files.
    """
    with file_errors(artifact.path):
        for name in _ENTRIES:
            _check_files(artifact.path / name)
        check_operations(_read_message(artifact.path))


def load_signature(folder: Path) -> ServingFunction:
    """Load a SavedModel and return its serving function.

    Raises:
        PupilaError: the model reads or writes files, cannot be loaded, or has no serving function
            with one input and one output.
    """
    check_operations(_read_message(folder))
    with library_errors("TensorFlow cannot load it"):
        loaded = import_tensorflow().saved_model.load(str(folder))
    signatures = getattr(loaded, "signatures", None)
    if not isinstance(signatures, Mapping):  # any object in the file may have this name
        raise PupilaError("it has no signatures, which TensorFlow needs to call it: damaged.")
    function: Any = cast("Mapping[str, Any]", signatures).get(_SIGNATURE)
    if function is None:
        names = ", ".join(sorted(cast("Mapping[str, Any]", signatures))) or "none"
        raise PupilaError(f"it has no signature {_SIGNATURE!r}: its signatures are: {names}.")
    inputs, outputs = function.structured_input_signature[1], function.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise PupilaError(
            f"it serves {len(outputs)} outputs {list_names(sorted(outputs))} of {len(inputs)} "
            f"inputs {list_names(sorted(inputs))}: expected one output of one input."
        )
    ((input_name, input_tensor),) = inputs.items()
    ((output_name, output_tensor),) = outputs.items()
    return ServingFunction(
        function=function,
        input_name=input_name,
        input_shape=_shape(input_tensor),
        input_type=input_tensor.dtype,
        output_name=output_name,
        output_shape=_shape(output_tensor),
        owner=loaded,
    )


def _shape(tensor: Any) -> tuple[int | None, ...]:
    return () if tensor.shape.rank is None else tuple(tensor.shape)


def _read_message(source: Path) -> Any:
    """Parse a SavedModel's `saved_model.pb` without loading the model."""
    message = import_module("tensorflow.core.protobuf.saved_model_pb2").SavedModel()
    with library_errors("saved_model.pb is damaged"):
        message.ParseFromString((source / "saved_model.pb").read_bytes())
    return message


def _predict_probes(model: ServingFunction) -> Any:
    batch, height, width, _ = model.input_shape
    images = draw_probes(height or 0, width or 0)
    if batch:
        images = np.resize(images, (batch, *images.shape[1:]))
    with library_errors("it cannot process an image"):
        tensor = import_tensorflow().constant(images)
        return np.asarray(model(tensor), np.float32)


def _parameters(loaded: Any) -> int | None:
    """Return the number of weights; None if the weights are constants of the graph."""
    variables = getattr(loaded, "variables", ())
    return sum(math.prod(variable.shape) for variable in variables) or None


def _copy(source: Path, target: Path) -> None:
    """Copy a file or folder of a SavedModel, if it exists.

    Raises:
        PupilaError: the source is or contains something other than files and folders, such as a
            link.
    """
    _check_files(source)
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        shutil.copyfile(source, target)


def _check_files(entry: Path) -> None:
    has_content = entry.is_dir() and not entry.is_symlink()
    for path in [entry, *(entry.rglob("*") if has_content else ())]:
        if path.is_symlink() or (path.exists() and not path.is_file() and not path.is_dir()):
            raise PupilaError(
                f"its {path.relative_to(entry.parent)} is {_kind(path)}: expected plain files. "
                "Copy the folder with what its links lead to (cp -rL)."
            )


def _kind(path: Path) -> str:
    return "a link" if path.is_symlink() else "not a file"
