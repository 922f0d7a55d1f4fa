"""Checks that LiteRT.js can run a model: float32 input and output, one image at a time."""

from __future__ import annotations

import numpy as np

from pupila import Artifact, PupilaError
from pupila.digest import short_digest
from pupila.litert.tensor_io import read_tensor_io


def check_tensor_io(artifact: Artifact) -> None:
    """Check that a flatbuffer takes and returns float32, with a batch size of one.

    Raises:
        PupilaError: the flatbuffer has another type or batch size; the message says what to do.
    """
    inputs, outputs = read_tensor_io(artifact.file(".tflite"))
    dtypes = [tensor.dtype for tensor in inputs + outputs]
    other = next((dtype for dtype in dtypes if dtype != np.float32), None)
    if other is not None:
        raise PupilaError(
            f"Model {short_digest(artifact.digest)!r} takes or returns {other.name}, and "
            f"browsers only run models with float32 input and output. Quantise it with "
            f"`io_type: float`, which does not change what is inside."
        )
    batch = inputs[0].shape[0]
    if batch != 1:
        raise PupilaError(
            f"Model {short_digest(artifact.digest)!r} takes a batch of {batch} images, and "
            f"browsers only run models with a batch of 1. Export it with `export-tflite`."
        )
