"""Runs OpenVINO models on the CPU, one image at a time. This module never imports TensorFlow."""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, Progress, PupilaError
from pupila.memory import peak_memory_bytes
from pupila.pinning import pin
from pupila_openvino.files import openvino

OPENVINO = f"OpenVINO {version('openvino')}"
_WARM_UP_RUNS = 5


def open_artifact(artifact: Artifact, threads: int) -> OpenVinoModel:
    """Open an artifact of format `openvino`, to compute on `threads` threads.

    Raises:
        PupilaError: OpenVINO cannot run the model; the message gives its reason.
    """
    return OpenVinoModel(artifact.file(".xml"), threads)


class OpenVinoModel:
    """A model of one RGB image in float32 `(1, height, width, 3)` and one output, on the CPU.

    What is in float is computed in float32, also on CPUs that have bfloat16 or float16.

    Raises:
        PupilaError: OpenVINO cannot run the model, or it has another input or output.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.threads, self._path = threads, path
        with _explain_errors(path):
            self._compiled: Any = _compile(path, threads)
            self._request: Any = self._compiled.create_infer_request()
        _check_ends(path, self._compiled)

    @property
    def runtime(self) -> str:
        return f"{OPENVINO}, CPU"

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return the raw outputs `(n, columns)` of uint8 images `(n, height, width, 3)`."""
        outputs: list[NDArray[np.float32]] = []
        for done, image in enumerate(images, start=1):
            outputs.append(self._run(_batch(image)).reshape(-1))
            progress(done, len(images), "images")
        return np.stack(outputs)

    def latency_ms(self, image: NDArray[np.uint8], repeats: int) -> list[float]:
        """Return the milliseconds of each of `repeats` runs, after five untimed runs.

        `image` is uint8 `(height, width, 3)`. Threads are pinned to cores. The conversion of the
        image to float is not timed.
        """
        batch = _batch(image)
        for _ in range(_WARM_UP_RUNS):
            self._run(batch)
        with pin(self.threads):
            return [self._timed_ms(batch) for _ in range(repeats)]

    def peak_memory_bytes(self) -> int:
        return peak_memory_bytes()

    def close(self) -> None:
        """Free the model."""
        del self._request, self._compiled

    def _timed_ms(self, batch: NDArray[np.float32]) -> float:
        start = time.perf_counter()
        self._run(batch)
        return (time.perf_counter() - start) * 1000

    def _run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the output for one image, a copy, since the request reuses its memory."""
        with _explain_errors(self._path):
            return np.array(self._request.infer({0: batch})[0], np.float32)


def _batch(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return image[np.newaxis].astype(np.float32)


def _compile(path: Path, threads: int) -> Any:
    core: Any = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    return core.compile_model(core.read_model(str(path)), "CPU", settings)


@contextmanager
def _explain_errors(path: Path) -> Generator[None]:
    """Turn OpenVINO's errors in the context into a `PupilaError` that names the file."""
    try:
        yield
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = (lines[-1] if lines else type(error).__name__).rstrip(".")
        raise PupilaError(
            f"{OPENVINO} cannot run {str(path)!r}: {reason}. Export the model again."
        ) from None


def _check_ends(path: Path, compiled: Any) -> None:
    """Make sure that a model takes one RGB image in float32, and gives one output in float32.

    Raises:
        PupilaError: it takes or gives something else.
    """
    ends = [*compiled.inputs, *compiled.outputs]
    shapes = [str(end.get_partial_shape()) for end in ends]
    types = [end.get_element_type().get_type_name() for end in ends]
    if types != ["f32", "f32"] or not re.fullmatch(r"\[1,\d+,\d+,3\]", shapes[0]):
        listed = ", ".join(f"{name} {shape}" for name, shape in zip(types, shapes, strict=True))
        raise PupilaError(
            f"{str(path)!r} takes and gives {listed}. Expected f32 [1,height,width,3] and one "
            f"output of f32: export the model with `export-openvino`."
        )
