"""What LiteRT.js can be given: one float32 image at a time, in and out."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from pupila import Artifact, PupilaError


def check_border(artifact: Artifact) -> None:
    """Make sure that a flatbuffer takes and gives float32, in a batch of exactly one.

    Raises:
        PupilaError: it does not, and what to do.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = cast("Any", Interpreter(model_path=str(artifact.file(".tflite"))))
    borders = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    other = next((each["dtype"] for each in borders if each["dtype"] != np.float32), None)
    if other is not None:
        raise PupilaError(
            f"Model {artifact.digest[:12]!r} takes or gives {np.dtype(other).name}, and browsers "
            f"run models with float32 at both ends only. Quantise it with `borders: float`: what "
            f"is inside stays as it is."
        )
    batch = int(borders[0]["shape_signature"][0])
    if batch != 1:
        raise PupilaError(
            f"Model {artifact.digest[:12]!r} takes a batch of {batch} images, and browsers run "
            f"models with a batch of 1 only. Export it with `export-tflite`."
        )
