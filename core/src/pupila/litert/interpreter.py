"""Runs images through a flatbuffer with LiteRT on the CPU, one image at a time."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.arrays import Pixels
from pupila.litert.flatbuffer import check_model, map_file
from pupila.litert.tensor_io import TensorIO
from pupila.runtime import Progress


class Interpreter:
    """A flatbuffer opened in LiteRT, ready to run.

    Images and outputs are real values. If the model's input holds integers, images are quantised;
    if its output holds integers, outputs are dequantised.

    `flatbuffer` is the path of a file, which is mapped from disk, or the content of a file. With
    `reference_kernels`, LiteRT computes without XNNPACK, with kernels that round like those of
    TFLite Micro. With `keep_all_tensors`, which takes more memory, intermediate tensors can be read
    with `tensor` after a run.

    Raises:
        PupilaError: the model has custom operators or unreasonably large tensors.
        ValueError: the file is damaged.
        RuntimeError: LiteRT lacks an operator.
    """

    def __init__(
        self,
        flatbuffer: Path | bytes,
        *,
        threads: int,
        reference_kernels: bool = False,
        keep_all_tensors: bool = False,
    ) -> None:
        litert: Any = import_module("ai_edge_litert.interpreter")
        is_content = isinstance(flatbuffer, bytes)
        check_model(flatbuffer if is_content else map_file(flatbuffer))
        kernels = litert.OpResolverType
        self._interpreter: Any = litert.Interpreter(
            model_path=None if is_content else str(flatbuffer),
            model_content=flatbuffer if is_content else None,
            num_threads=threads,
            experimental_op_resolver_type=(
                kernels.BUILTIN_REF if reference_kernels else kernels.AUTO
            ),
            experimental_preserve_all_tensors=keep_all_tensors,
        )
        self._interpreter.allocate_tensors()
        self.inputs = [TensorIO.of(detail) for detail in self._interpreter.get_input_details()]
        self.outputs = [TensorIO.of(detail) for detail in self._interpreter.get_output_details()]

    @property
    def input(self) -> TensorIO:
        """The only input tensor."""
        (only,) = self.inputs
        return only

    @property
    def output(self) -> TensorIO:
        """The only output tensor."""
        (only,) = self.outputs
        return only

    @property
    def is_delegated(self) -> bool:
        """Whether a delegate such as XNNPACK computes some of the operators."""
        # LiteRT has no public call for this
        operators = self._interpreter._get_ops_details()
        return any(operator["op_name"] == "DELEGATE" for operator in operators)

    def set_image(self, image: NDArray[Any]) -> None:
        """Fill the input with one image `(height, width, channels)` of real values."""
        self._interpreter.set_tensor(self.input.index, self.input.quantize(image[np.newaxis]))

    def invoke(self) -> None:
        """Run the operators on the image that was set."""
        self._interpreter.invoke()

    def run(self, image: NDArray[Any]) -> None:
        """Run the operators on one image `(height, width, channels)` of real values."""
        self.set_image(image)
        self.invoke()

    def timed_invoke(self) -> float:
        """Run the operators on the image that was set and return the time in milliseconds."""
        start = time.perf_counter()
        self._interpreter.invoke()
        return (time.perf_counter() - start) * 1000

    def values(self) -> NDArray[np.float32]:
        """Return the output of the last run `(columns,)`, dequantised."""
        output = self.output
        return output.dequantize(self._interpreter.get_tensor(output.index)).reshape(-1)

    def tensor(self, index: int) -> NDArray[Any]:
        """Return a copy of the tensor number `index` after the last run, not dequantised."""
        return self._interpreter.get_tensor(index)

    def predict(
        self,
        images: NDArray[np.uint8] | Pixels,
        progress: Progress,
        *,
        what: str = "images",
        precision: type[np.float32] | type[np.float64] = np.float32,
    ) -> NDArray[np.float32]:
        """Return the model's outputs `(images, columns)`, dequantised.

        `images` are `(images, height, width, 3)`, 0..255. `what` names the unit that `progress`
        counts. If the input holds integers, quantisation is computed in the float type
        `precision` (see `TensorIO.quantize`).
        """

        outputs = np.empty((len(images), self.output.values_per_image), np.float32)
        for row in range(len(images)):
            self.run(images[row].astype(precision))
            outputs[row] = self.values()
            progress(row + 1, len(images), what)
        return outputs
