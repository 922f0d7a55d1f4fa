"""The two ends of a flatbuffer: what type a tensor has, and what its integers stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Border:
    """An input or output tensor: `real = scale * (stored - zero_point)` where it is quantised."""

    index: int
    """Of the tensor, for the interpreter."""
    shape: tuple[int, ...]
    """As in the file; -1 where the file leaves it open."""
    dtype: np.dtype[Any]
    scale: float
    """0 where the tensor is not quantised: its numbers are then the values themselves."""
    zero_point: int

    @classmethod
    def of(cls, detail: dict[str, Any]) -> Border:
        """Read one entry of the interpreter's `get_input_details` or `get_output_details`."""
        scale, zero_point = detail["quantization"]
        shape = tuple(int(length) for length in detail["shape_signature"])
        return cls(detail["index"], shape, np.dtype(detail["dtype"]), float(scale), zero_point)

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
