"""The two ends of a flatbuffer: what type a tensor has, and what its integers stand for."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Border:
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
    def of(cls, detail: dict[str, Any]) -> Border:
        """Read one entry of `get_input_details` or `get_output_details`, LiteRT's or Micro's."""
        shape = detail["shape_signature"] if "shape_signature" in detail else detail["shape"]
        steps = detail["quantization_parameters"]
        scales, zero_points = steps["scales"], steps["zero_points"]
        scale, zero_point = (scales[0], zero_points[0]) if len(scales) else (0, 0)
        return cls(
            tuple(int(length) for length in shape),
            np.dtype(detail["dtype"]),
            float(scale),
            int(zero_point),
            int(detail.get("index", 0)),
        )

    @property
    def values(self) -> int:
        """Numbers for one image."""
        return int(np.prod(self.shape[1:]))

    @property
    def span(self) -> tuple[float, float]:
        """The least and the largest real value of a quantised tensor."""
        limits = np.iinfo(self.dtype)
        low, high = (self.scale * (limit - self.zero_point) for limit in (limits.min, limits.max))
        return low, high

    def stored(self, values: NDArray[Any]) -> NDArray[Any]:
        """Turn real values into what the tensor holds, rounded and clipped to its range."""
        if not self.scale:
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        scaled = np.rint(values.astype(np.float32) / self.scale) + self.zero_point
        return np.clip(scaled, limits.min, limits.max).astype(self.dtype)

    def real(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Turn what the tensor holds into real values."""
        values = stored.astype(np.float32)
        return (values - self.zero_point) * np.float32(self.scale) if self.scale else values


def borders_of(flatbuffer: Path) -> list[Border]:
    """Return the inputs of a `.tflite` file that LiteRT runs, and after them its outputs."""
    litert: Any = import_module("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(model_path=str(flatbuffer))
    details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    return [Border.of(detail) for detail in details]
