"""Input and output tensors of a model: type, shape, and what the integers in them stand for."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.litert.flatbuffer import check_model, map_file


@dataclass(frozen=True)
class TensorIO:
    """An input or output tensor: `real = scale * (stored - zero_point)` where it is quantised."""

    shape: tuple[int, ...]
    """As in the file; -1 where the file leaves it open."""
    dtype: np.dtype[Any]
    scale: float
    """0 where the tensor is not quantised: its numbers are then the values themselves."""
    zero_point: int
    index: int = 0
    """Of the tensor, for LiteRT's interpreter; TFLite Micro's has none."""

    @classmethod
    def of(cls, detail: dict[str, Any]) -> TensorIO:
        """Read one entry of `get_input_details` or `get_output_details`, LiteRT's or Micro's."""
        shape = detail["shape_signature"] if "shape_signature" in detail else detail["shape"]
        quantization = detail["quantization_parameters"]
        scales, zero_points = quantization["scales"], quantization["zero_points"]
        scale, zero_point = (scales[0], zero_points[0]) if len(scales) else (0, 0)
        return cls(
            tuple(int(length) for length in shape),
            np.dtype(detail["dtype"]),
            float(scale),
            int(zero_point),
            int(detail.get("index", 0)),
        )

    @property
    def values_per_image(self) -> int:
        """How many numbers the tensor holds for one image."""
        return int(np.prod(self.shape[1:]))

    @property
    def real_range(self) -> tuple[float, float]:
        """The smallest and the largest real value that a quantised tensor can hold."""
        limits = np.iinfo(self.dtype)
        low, high = (self.scale * (limit - self.zero_point) for limit in (limits.min, limits.max))
        return low, high

    def quantize(self, values: NDArray[Any]) -> NDArray[Any]:
        """Turn real values into what the tensor holds, rounded and clipped to its range.

        Computed in float32, as LiteRT's own operator QUANTIZE does; in float64 where `values` are
        float64. The two differ by one where a value lies halfway between two integers.
        """
        if not self.scale:
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        precision = np.float64 if values.dtype == np.float64 else np.float32
        scaled = np.rint(values.astype(precision) / self.scale) + self.zero_point
        return np.clip(scaled, limits.min, limits.max).astype(self.dtype)

    def dequantize(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Turn what the tensor holds into real values."""
        values = stored.astype(np.float32)
        return (values - self.zero_point) * np.float32(self.scale) if self.scale else values


def read_tensor_io(flatbuffer: Path) -> tuple[list[TensorIO], list[TensorIO]]:
    """Return the inputs and the outputs of a `.tflite` file that LiteRT can open.

    Raises:
        PupilaError: it has operators that are not LiteRT's own.
    """
    check_model(map_file(flatbuffer))
    litert: Any = import_module("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(model_path=str(flatbuffer))
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    return [TensorIO.of(detail) for detail in inputs], [TensorIO.of(detail) for detail in outputs]
