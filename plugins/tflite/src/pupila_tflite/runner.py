"""Runs flatbuffers in LiteRT. This module never imports TensorFlow, as a test checks."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, InProcessModel, Progress, PupilaError
from pupila.litert.interpreter import Interpreter
from pupila.litert.tensor_io import TensorIO, read_tensor_io

LITERT = f"LiteRT {version('ai-edge-litert')}"

_IO_TYPES = ("float32", "int8", "uint8", "int16")


def open_artifact(artifact: Artifact, threads: int) -> LiteRTModel:
    """Open an artifact of format `tflite`, to compute on `threads` threads.

    Raises:
        PupilaError: LiteRT cannot run the model; the message gives LiteRT's reason.
    """
    return LiteRTModel(artifact.file(".tflite"), threads)


def check(artifact: Artifact) -> None:
    """Refuse an artifact whose flatbuffer is damaged or has custom operators.

    Raises:
        PupilaError: the flatbuffer is damaged or has custom operators.
    """
    path = artifact.file(".tflite")
    with _explain_errors(path):
        read_tensor_io(path)


class LiteRTModel(InProcessModel):
    """A flatbuffer with one input and one output, run on the CPU, one image at a time.

    The timed part is the operators of the flatbuffer, including its own conversions between float
    and integer. Filling the input tensor, which may quantise the image, and reading the output are
    not timed.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.threads = threads
        self._interpreter = _open(path, threads)
        self.input = _only(path, "input", self._interpreter.inputs)
        self.output = _only(path, "output", self._interpreter.outputs)
        kernels = "XNNPACK" if self._interpreter.is_delegated else "built-in kernels"
        self.runtime = f"{LITERT}, {kernels}"

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return the raw outputs `(n, columns)` of uint8 images `(n, height, width, 3)`.

        Integer outputs are dequantised.
        """
        return self._interpreter.predict(images, progress)

    def set_image(self, image: NDArray[np.uint8]) -> None:
        self._interpreter.set_image(image)

    def invoke(self) -> None:
        self._interpreter.invoke()

    def values(self) -> NDArray[np.float32]:
        return self._interpreter.values()

    def close(self) -> None:
        """Free the model."""
        del self._interpreter


def _open(path: Path, threads: int) -> Interpreter:
    with _explain_errors(path):
        return Interpreter(path, threads=threads)


@contextmanager
def _explain_errors(path: Path) -> Generator[None]:
    """Turn LiteRT's errors in the context into a `PupilaError` that names the file."""
    try:
        yield
    except PupilaError as error:
        raise PupilaError(f"{str(path)!r}: {error}") from None
    except (ValueError, RuntimeError) as error:  # a damaged file; an operator that LiteRT lacks
        reason = " ".join(str(error).split()).rstrip(".")
        raise PupilaError(
            f"{LITERT} cannot run {str(path)!r}: {reason}. Give a whole .tflite file of built-in "
            f"operators."
        ) from None


def _only(path: Path, end: str, tensors: list[TensorIO]) -> TensorIO:
    """Return the only input or output of a flatbuffer.

    Raises:
        PupilaError: there is not exactly one, or its type is not supported.
    """
    if len(tensors) != 1 or tensors[0].dtype.name not in _IO_TYPES:
        names = ", ".join(f"{tensor.dtype.name} {tensor.shape}" for tensor in tensors)
        raise PupilaError(
            f"{str(path)!r} has as {end}: {names or 'nothing'}. Expected exactly one {end}, of "
            f"type {', '.join(_IO_TYPES)}: export a model with one."
        )
    return tensors[0]
