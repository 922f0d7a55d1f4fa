"""Runs OpenVINO models on the CPU, one image at a time. This module never imports TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, InProcessModel, PupilaError
from pupila_openvino.files import openvino

OPENVINO = f"OpenVINO {version('openvino')}"


def open_artifact(artifact: Artifact, threads: int) -> OpenVinoModel:
    """Open an artifact of format `openvino`, to compute on `threads` threads.

    Raises:
        PupilaError: OpenVINO cannot run the model; the message gives its reason.
    """
    return OpenVinoModel(artifact.file(".xml"), threads)


class OpenVinoModel(InProcessModel):
    """A model of one RGB image in float32 `(1, height, width, 3)` and one output, on the CPU.

    What is in float is computed in float32, also on CPUs that have bfloat16 or float16.

    Raises:
        PupilaError: OpenVINO cannot run the model, or it has another input or output.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.runtime, self.threads, self._path = f"{OPENVINO}, CPU", threads, path
        with _explain_errors(path):
            self._compiled: Any = _compile(path, threads)
            self._request: Any = self._compiled.create_infer_request()
        _check_ends(path, self._compiled)

    def set_image(self, image: NDArray[np.uint8]) -> None:
        self._batch = image[np.newaxis].astype(np.float32)

    def invoke(self) -> None:
        with _explain_errors(self._path):
            self._outputs: Any = self._request.infer({0: self._batch})[0]

    def values(self) -> NDArray[np.float32]:
        """Return a copy of the outputs of the last image: the request reuses its memory."""
        return np.array(self._outputs, np.float32).reshape(-1)

    def close(self) -> None:
        """Free the model."""
        del self._request, self._compiled


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
