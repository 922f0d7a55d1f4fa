"""Runs models in TFLite Micro's interpreter, on this computer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, InProcessModel, PupilaError
from pupila.digest import short_digest
from pupila.litert.tensor_io import TensorIO
from pupila.measured import MicrocontrollerMemory
from pupila_micro.arena import check_arena
from pupila_micro.interpreter import NAME, runtime


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


class MicroModel(InProcessModel):
    """A flatbuffer with one input and one output, run on one image at a time.

    Operators and arena are the same as on a microcontroller. Speed and peak memory are those of
    this computer: a microcontroller needs only the arena and the flatbuffer.
    """

    threads = 1
    runtime = f"{NAME}, reference kernels, on the host"

    def __init__(self, path: Path, arena_bytes: int) -> None:
        self._interpreter = runtime.Interpreter.from_file(str(path), arena_size=arena_bytes)
        self.input = TensorIO.of(self._interpreter.get_input_details(0))
        self.output = TensorIO.of(self._interpreter.get_output_details(0))

    def set_image(self, image: NDArray[np.uint8]) -> None:
        self._interpreter.set_input(self.input.quantize(image[np.newaxis]), 0)

    def invoke(self) -> None:
        self._interpreter.invoke()

    def values(self) -> NDArray[np.float32]:
        return self.output.dequantize(self._interpreter.get_output(0)).reshape(-1)

    def close(self) -> None:
        """Free the model."""
        del self._interpreter
