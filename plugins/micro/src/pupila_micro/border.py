"""The two ends of a flatbuffer, as LiteRT and TFLite Micro both describe them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Border:
    """An input or output tensor: `real = scale * (stored - zero_point)` where it is quantised."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    """0 where the tensor is not quantised: its numbers are then the values themselves."""
    zero_point: int

    @classmethod
    def of(cls, detail: dict[str, Any]) -> Border:
        """Read what `get_input_details` or `get_output_details` of an interpreter says."""
        shape = tuple(int(length) for length in detail["shape"])
        steps = detail["quantization_parameters"]
        scales, zero_points = steps["scales"], steps["zero_points"]
        scale, zero_point = (scales[0], zero_points[0]) if len(scales) else (0, 0)
        return cls(shape, np.dtype(detail["dtype"]), float(scale), int(zero_point))

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
