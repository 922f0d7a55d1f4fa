"""Runs models in TFLite Micro's interpreter, on this computer."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, Progress, PupilaError
from pupila.digest import short_digest
from pupila.litert.interpreter import predict_each
from pupila.litert.tensor_io import TensorIO
from pupila.measured import MicrocontrollerMemory
from pupila.memory import peak_memory_bytes
from pupila_micro.arena import check_arena
from pupila_micro.interpreter import NAME, runtime

_WARM_UP_RUNS = 5


def open_artifact(artifact: Artifact, threads: int) -> MicroModel:
    """Open an artifact of format `tflite-micro`, in the arena that was measured for it.

    The model runs on one thread, as on a microcontroller, whatever `threads` is.

    Raises:
        PupilaError: the artifact's arena was not measured, or the installed interpreter does not
            run the model in that arena.
    """
    model, memory = artifact.file(".tflite"), artifact.record.measured.read(MicrocontrollerMemory)
    if memory is None:
        raise PupilaError(
            f"The artifact {short_digest(artifact.digest)} does not say what arena it needs: make "
            f"it again with export-tflite-micro, or have the step that makes it measure "
            f"`MicrocontrollerMemory`."
        )
    check_arena(model, memory.arena_bytes)
    return MicroModel(model, memory.arena_bytes)


class MicroModel:
    """A flatbuffer with one input and one output, run on one image at a time.

    Operators and arena are the same as on a microcontroller, but the speed is this computer's.
    """

    threads = 1

    def __init__(self, path: Path, arena_bytes: int) -> None:
        self._interpreter = runtime.Interpreter.from_file(str(path), arena_size=arena_bytes)
        self.input = TensorIO.of(self._interpreter.get_input_details(0))
        self.output = TensorIO.of(self._interpreter.get_output_details(0))

    @property
    def runtime(self) -> str:
        """Name and version: `"TFLite Micro 0.dev20261023, reference kernels, on the host"`."""
        return f"{NAME}, reference kernels, on the host"

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return the raw outputs `(n, columns)` of uint8 images `(n, height, width, 3)`.

        Integer outputs are dequantised.
        """
        return predict_each(self._answer, images, int(np.prod(self.output.shape)), progress)

    def latency_ms(self, image: NDArray[np.uint8], repeats: int) -> list[float]:
        """Return the milliseconds of each of `repeats` runs on this computer, after warm-up.

        `image` is uint8 `(height, width, 3)`. Five untimed runs come first.
        """
        for _ in range(_WARM_UP_RUNS):
            self._timed_ms(image)
        return [self._timed_ms(image) for _ in range(repeats)]

    def peak_memory_bytes(self) -> int:
        """Return the peak resident memory of this process in bytes.

        A microcontroller needs far less: only the arena and the flatbuffer.
        """
        return peak_memory_bytes()

    def close(self) -> None:
        """Free the model."""
        del self._interpreter

    def _answer(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._set_image(image)
        self._interpreter.invoke()
        return self.output.dequantize(self._interpreter.get_output(0)).reshape(-1)

    def _timed_ms(self, image: NDArray[np.uint8]) -> float:
        self._set_image(image)  # a run overwrites its input, to save memory
        start = time.perf_counter()
        self._interpreter.invoke()
        return (time.perf_counter() - start) * 1000

    def _set_image(self, image: NDArray[np.uint8]) -> None:
        self._interpreter.set_input(self.input.quantize(image[np.newaxis]), 0)
