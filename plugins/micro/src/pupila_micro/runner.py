"""The runtime of microcontrollers, on this computer: TFLite Micro's interpreter."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, Progress, PupilaError
from pupila.digest import short_digest
from pupila.litert.tensor_io import TensorIO
from pupila.measured import MicrocontrollerMemory
from pupila.memory import peak_memory_bytes
from pupila_micro.arena import check_arena
from pupila_micro.interpreter import NAME, runtime

_WARM_UP_RUNS = 5


def open_artifact(artifact: Artifact, threads: int) -> MicroModel:
    """Open an artifact of format `tflite-micro`, in the arena that was measured for it.

    A microcontroller has no threads for it, so it runs on one, whatever `threads` is.

    Raises:
        PupilaError: its arena was not measured, or the installed interpreter does not run it in
            that arena.
    """
    model, memory = artifact.file(".tflite"), artifact.record.measured.read(MicrocontrollerMemory)
    if memory is None:
        raise PupilaError(
            f"The artifact {short_digest(artifact.digest)} does not say what arena it needs: make "
            f"it again with export-tflite-micro, or note a `MicrocontrollerMemory` in what makes "
            f"it."
        )
    check_arena(model, memory.arena_bytes)
    return MicroModel(model, memory.arena_bytes)


class MicroModel:
    """A flatbuffer of one input and one output, one image at a time.

    Its operators and arena are those of the microcontroller; its speed is not.
    """

    threads = 1

    def __init__(self, path: Path, arena_bytes: int) -> None:
        self._interpreter = runtime.Interpreter.from_file(str(path), arena_size=arena_bytes)
        self.input = TensorIO.of(self._interpreter.get_input_details(0))
        self.output = TensorIO.of(self._interpreter.get_output_details(0))

    @property
    def runtime(self) -> str:
        """Such as `"TFLite Micro 0.dev20261023182759, reference kernels, on the host"`."""
        return f"{NAME}, reference kernels, on the host"

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return the raw outputs `(n, columns)`, dequantised where the output is an integer."""
        outputs = np.empty((len(images), int(np.prod(self.output.shape))), np.float32)
        for row, image in enumerate(images):
            self._feed(image)
            self._interpreter.invoke()
            outputs[row] = self.output.dequantize(self._interpreter.get_output(0)).reshape(-1)
            progress(row + 1, len(images), "images")
        return outputs

    def latency_ms(self, image: NDArray[np.uint8], repeats: int) -> list[float]:
        """Time `repeats` runs of one image on this computer, after five that are not counted."""
        for _ in range(_WARM_UP_RUNS):
            self._timed_ms(image)
        return [self._timed_ms(image) for _ in range(repeats)]

    def peak_memory_bytes(self) -> int:
        """Of this process: the microcontroller's need is the arena and the flatbuffer."""
        return peak_memory_bytes()

    def close(self) -> None:
        """Free the model."""
        del self._interpreter

    def _timed_ms(self, image: NDArray[np.uint8]) -> float:
        self._feed(image)  # a run writes over its input: the arena is short
        start = time.perf_counter()
        self._interpreter.invoke()
        return (time.perf_counter() - start) * 1000

    def _feed(self, image: NDArray[np.uint8]) -> None:
        self._interpreter.set_input(self.input.quantize(image[np.newaxis]), 0)
