"""The LiteRT runtime. Imports `ai_edge_litert` alone, never TensorFlow (a test sees to it)."""

from __future__ import annotations

import time
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from pupila import Artifact, Progress, PupilaError
from pupila.litert.tensor_io import Border
from pupila.memory import peak_memory_bytes
from pupila_tflite.pinning import pinned

LITERT = f"LiteRT {version('ai-edge-litert')}"

_BORDER_TYPES = ("float32", "int8", "uint8", "int16")
_WARM_UP_RUNS = 5


def open_artifact(artifact: Artifact, threads: int) -> LiteRTModel:
    """Open an artifact of format `tflite`.

    Raises:
        PupilaError: LiteRT cannot run it; the message gives LiteRT's reason.
    """
    return LiteRTModel(artifact.file(".tflite"), threads)


class LiteRTModel:
    """A flatbuffer of one input and one output, run on the CPU one image at a time.

    Float and integer borders look the same from outside: images are quantised on the way in, and
    outputs dequantised on the way out, by the scales that the flatbuffer states.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.threads = threads
        self._interpreter = _interpreter(path, threads)
        self.input = _only(path, "input", self._interpreter.get_input_details())
        self.output = _only(path, "output", self._interpreter.get_output_details())

    @cached_property
    def runtime(self) -> str:
        """Such as `"LiteRT 2.3.0, XNNPACK"`: a delegate is named only where it took operators."""
        # no public call tells whether a delegate was applied
        operators = self._interpreter._get_ops_details()
        delegated = any(operator["op_name"] == "DELEGATE" for operator in operators)
        return f"{LITERT}, {'XNNPACK' if delegated else 'built-in kernels'}"

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return the raw outputs `(n, columns)`, dequantised where the output is an integer."""
        outputs = np.empty((len(images), self.output.values), np.float32)
        for row, image in enumerate(images):
            self._feed(image)
            self._interpreter.invoke()
            outputs[row] = self._answer()
            progress(row + 1, len(images), "images")
        return outputs

    def latency_ms(self, image: NDArray[np.uint8], repeats: int) -> list[float]:
        """Time `repeats` runs of one image, after five that are not counted, on pinned cores.

        What is timed is `Interpreter.invoke` alone: the operators of the flatbuffer, conversions
        between float and integer that lie inside it included. Decoding and resizing, filling the
        input tensor (and quantising it where it is an integer) and reading the output are not.
        """
        self._feed(image)
        for _ in range(_WARM_UP_RUNS):
            self._interpreter.invoke()
        with pinned(self.threads):
            return [self._timed_ms(image) for _ in range(repeats)]

    def peak_memory_bytes(self) -> int:
        return peak_memory_bytes()

    def close(self) -> None:
        """Free the model."""
        del self._interpreter

    def _timed_ms(self, image: NDArray[np.uint8]) -> float:
        self._feed(image)
        start = time.perf_counter()
        self._interpreter.invoke()
        return (time.perf_counter() - start) * 1000

    def _feed(self, image: NDArray[np.uint8]) -> None:
        self._interpreter.set_tensor(self.input.index, self.input.stored(image[np.newaxis]))

    def _answer(self) -> NDArray[np.float32]:
        return self.output.real(self._interpreter.get_tensor(self.output.index)).reshape(-1)


def _interpreter(path: Path, threads: int) -> Interpreter:
    """Open a flatbuffer, mapped from disk, and lay out its tensors."""
    try:
        interpreter = Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:  # a broken file; an operator it does not have
        reason = " ".join(str(error).split()).rstrip(".")
        raise PupilaError(
            f"{LITERT} cannot run {str(path)!r}: {reason}. Give a whole .tflite file of built-in "
            f"operators."
        ) from None
    return interpreter


def _only(path: Path, end: str, details: list[dict[str, object]]) -> Border:
    """Return the one input or output of a flatbuffer."""
    borders = [Border.of(detail) for detail in details]
    if len(borders) != 1 or borders[0].dtype.name not in _BORDER_TYPES:
        found = ", ".join(f"{border.dtype.name} {border.shape}" for border in borders)
        raise PupilaError(
            f"{str(path)!r} has as {end}: {found or 'nothing'}. Expected exactly one {end}, of "
            f"type {', '.join(_BORDER_TYPES)}: export a model with one."
        )
    return borders[0]
