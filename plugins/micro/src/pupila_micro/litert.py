"""What LiteRT answers: what TFLite Micro is compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from pupila.litert.tensor_io import Border

AS_SHIPPED = OpResolverType.AUTO
"""With XNNPACK, as phones and computers run it."""
REFERENCE = OpResolverType.BUILTIN_REF
"""With the kernels that TFLite Micro's own were made of, which round alike."""


def answers(
    path: Path, images: NDArray[np.uint8], kernels: OpResolverType = AS_SHIPPED
) -> NDArray[np.float32]:
    """Return the raw outputs `(n, columns)` of a flatbuffer, dequantised."""
    interpreter = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    (input_detail,) = interpreter.get_input_details()
    (output_detail,) = interpreter.get_output_details()
    first, last = Border.of(input_detail), Border.of(output_detail)
    rows: list[NDArray[np.float32]] = []
    for image in images:
        interpreter.set_tensor(input_detail["index"], first.stored(image[np.newaxis]))
        interpreter.invoke()
        rows.append(last.real(interpreter.get_tensor(output_detail["index"])).reshape(-1))
    return np.stack(rows)
