"""Runs ONNX models in ONNX Runtime on the CPU. This module never imports TensorFlow."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, InProcessModel, Progress, PupilaError

onnxruntime: Any = import_module("onnxruntime")

ONNX_RUNTIME = f"ONNX Runtime {onnxruntime.__version__}"
_MOST_IMAGES = 32
"""Most images in a batch."""
_FATAL = 4
"""Level of logging: errors are raised, so they need not be printed too."""
_EXACT = ("session.x64quantprecision", "1")
"""Sums of int8 products are exact on every CPU: on x86 without VNNI they would overflow."""


def open_artifact(artifact: Artifact, threads: int) -> OnnxModel:
    """Open an artifact of format `onnx`, to compute on `threads` threads.

    Raises:
        PupilaError: ONNX Runtime cannot run the model; the message gives its reason.
    """
    return OnnxModel(artifact.file(".onnx"), threads)


class OnnxModel(InProcessModel):
    """A model of one RGB image in float32 `(batch, height, width, 3)` and one output, on the CPU.

    Raises:
        PupilaError: ONNX Runtime cannot run the model, or it has another input or output.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.runtime, self.threads, self._path = f"{ONNX_RUNTIME}, CPU", threads, path
        with _explain_errors(path):
            self._session: Any = _open(path, threads)
        self._input = _only(path, "input", self._session.get_inputs())
        self._output = _only(path, "output", self._session.get_outputs())
        self.output_shape = _shape(self._output)

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return the raw outputs `(n, columns)` of uint8 images `(n, height, width, 3)`.

        Images are computed in batches, or one by one if the file fixes the batch at one.
        """
        at_once = _MOST_IMAGES if _shape(self._input)[0] < 0 else 1
        outputs: list[NDArray[np.float32]] = []
        for start in range(0, len(images), at_once):
            batch = images[start : start + at_once]
            outputs.append(self._run(batch.astype(np.float32)).reshape(len(batch), -1))
            progress(start + len(batch), len(images), "images")
        return np.concatenate(outputs)

    def set_image(self, image: NDArray[np.uint8]) -> None:
        self._batch = image[np.newaxis].astype(np.float32)

    def invoke(self) -> None:
        self._outputs = self._run(self._batch)

    def values(self) -> NDArray[np.float32]:
        return self._outputs.reshape(-1)

    def close(self) -> None:
        """Free the model."""
        del self._session

    def _run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with _explain_errors(self._path):
            (output,) = self._session.run(None, {self._input.name: batch})
        return output


def _open(path: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    options.add_session_config_entry(*_EXACT)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@contextmanager
def _explain_errors(path: Path) -> Generator[None]:
    """Turn ONNX Runtime's errors in the context into a `PupilaError` that names the file."""
    try:
        yield
    except Exception as error:  # the bindings raise a class of its own for each kind of failure
        if isinstance(error, MemoryError):
            raise
        reason = " ".join(str(error).split()).rstrip(".")
        raise PupilaError(
            f"{ONNX_RUNTIME} cannot run {str(path)!r}: {reason}. Give a whole ONNX file of "
            f"standard operators."
        ) from None


def _only(path: Path, end: str, values: list[Any]) -> Any:
    """Return the only input or output of a model.

    Raises:
        PupilaError: there is not exactly one, or it is not of float32.
    """
    if len(values) != 1 or values[0].type != "tensor(float)":
        names = ", ".join(f"{value.type} {value.shape}" for value in values)
        raise PupilaError(
            f"{str(path)!r} has as {end}: {names or 'nothing'}. Expected exactly one {end}, of "
            f"type tensor(float): export a model with one."
        )
    return values[0]


def _shape(value: Any) -> tuple[int, ...]:
    """Return a shape, with -1 for a length that is open."""
    return tuple(length if isinstance(length, int) else -1 for length in value.shape)
