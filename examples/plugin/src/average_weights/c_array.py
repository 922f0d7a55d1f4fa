"""The exporter `export-c-array` and the runner of what it writes: a flatbuffer as source code."""

from __future__ import annotations

import re
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, Config, InProcessModel, PupilaError, Step, StepResult
from pupila.litert.interpreter import Interpreter

FILE = "model.h"
_BYTES_PER_LINE = 16


def export(step: Step[Config]) -> StepResult:
    """Write a flatbuffer as an array of bytes that a C compiler links into a program."""
    (artifact,) = step.inputs
    content = artifact.file(".tflite").read_bytes()
    lines = [
        "".join(f"0x{byte:02x}," for byte in content[start : start + _BYTES_PER_LINE])
        for start in range(0, len(content), _BYTES_PER_LINE)
    ]
    text = "\n".join(["const unsigned char model[] = {", *lines, "};", ""])
    (step.output / FILE).write_text(text)
    return StepResult.like(artifact, format="c-array")


def check(artifact: Artifact) -> None:
    """Refuse an artifact that is not such an array, or whose flatbuffer is damaged.

    Raises:
        PupilaError: it is refused.
    """
    _open(artifact, threads=1)


def open_model(artifact: Artifact, threads: int) -> CArrayModel:
    """Open an artifact, to compute on `threads` threads.

    Raises:
        PupilaError: it cannot be run.
    """
    return CArrayModel(_open(artifact, threads), threads)


class CArrayModel(InProcessModel):
    """The flatbuffer of an array, run in LiteRT."""

    runtime = f"LiteRT {version('ai-edge-litert')}"

    def __init__(self, interpreter: Interpreter, threads: int) -> None:
        self.threads, self._interpreter = threads, interpreter

    def set_image(self, image: NDArray[np.uint8]) -> None:
        self._interpreter.set_image(image)

    def invoke(self) -> None:
        self._interpreter.invoke()

    def values(self) -> NDArray[np.float32]:
        return self._interpreter.values()

    def close(self) -> None:
        """Free the model."""
        del self._interpreter


def _open(artifact: Artifact, threads: int) -> Interpreter:
    path = artifact.path / FILE
    text = path.read_text()
    if not text.endswith("};\n"):
        raise PupilaError(f"{str(path)!r} does not end as an array does: export the model again.")
    content = bytes(int(byte, 16) for byte in re.findall(r"0x([0-9a-f]{2}),", text))
    try:
        return Interpreter(content, threads=threads)
    except (ValueError, RuntimeError) as error:
        raise PupilaError(
            f"{str(path)!r} cannot be run: {error}. Export the model again."
        ) from None
