"""What LiteRT.js can be given: one float32 image at a time, in and out."""

from __future__ import annotations

import numpy as np

from pupila import Artifact, PupilaError
from pupila.digest import short_digest
from pupila.litert.tensor_io import read_tensor_io


def check_tensor_io(artifact: Artifact) -> None:
    """Make sure that a flatbuffer takes and gives float32, in a batch of exactly one.

    Raises:
        PupilaError: it does not; the message says what to do.
    """
    inputs, outputs = read_tensor_io(artifact.file(".tflite"))
    dtypes = [tensor.dtype for tensor in inputs + outputs]
    other = next((dtype for dtype in dtypes if dtype != np.float32), None)
    if other is not None:
        raise PupilaError(
            f"Model {short_digest(artifact.digest)!r} takes or gives {other.name}, and browsers "
            f"run models with float32 at both ends only. Quantise it with `io_type: float`: what "
            f"is inside stays as it is."
        )
    batch = inputs[0].shape[0]
    if batch != 1:
        raise PupilaError(
            f"Model {short_digest(artifact.digest)!r} takes a batch of {batch} images, and "
            f"browsers run models with a batch of 1 only. Export it with `export-tflite`."
        )
