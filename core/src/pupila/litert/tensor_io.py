"""Describes a model's input and output tensors: type, shape, scale and zero point."""

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
    """An input or output tensor of a model.

    If the tensor is quantised, it stores integers, and `real = scale * (stored - zero_point)`.
    """

    shape: tuple[int, ...]
    """Shape in the file; -1 for an axis whose length the file leaves open."""
    dtype: np.dtype[Any]
    scale: float
    """Step between two stored integers; 0 if the tensor is not quantised and stores real values."""
    zero_point: int
    index: int = 0
    """LiteRT's index of the tensor; 0 for TFLite Micro, which has no such index."""

    @classmethod
    def of(cls, detail: dict[str, Any]) -> TensorIO:
        """Make a `TensorIO` from an entry of `get_input_details` or `get_output_details`.

        The entry may come from LiteRT or from TFLite Micro.
        """
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
        """Convert real values to stored values, rounded and clipped to the tensor's range.

        The conversion is computed in float64 if `values` are float64, else in float32 as by
        LiteRT's operator QUANTIZE. The results of float32 and float64 can differ by one if a value
        lies halfway between two integers.
        """
        if not self.scale:
            return values.astype(self.dtype)
        precision = np.float64 if values.dtype == np.float64 else np.float32
        scaled = np.rint(values.astype(precision) / self.scale) + self.zero_point
        return to_integers(scaled, self.dtype)

    def dequantize(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Convert stored values to real values."""
        values = stored.astype(np.float32)
        return (values - self.zero_point) * np.float32(self.scale) if self.scale else values


def to_integers(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Round to the nearest integers, clipped to the range of `dtype`."""
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def read_tensor_io(flatbuffer: Path) -> tuple[list[TensorIO], list[TensorIO]]:
    """Return the input tensors and the output tensors of a `.tflite` file.

    Raises:
        PupilaError: the file has custom operators or unreasonably large tensors.
        ValueError: the file is damaged.
    """
    interpreter = _open(flatbuffer)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    return [TensorIO.of(detail) for detail in inputs], [TensorIO.of(detail) for detail in outputs]


def read_signature(flatbuffer: Path) -> tuple[str, list[str]] | None:
    """Return the name of a `.tflite` file's first signature, and the names of its inputs.

    The result is None if the file has no signature.

    Raises:
        PupilaError: the file has custom operators or unreasonably large tensors.
        ValueError: the file is damaged.
    """
    signatures: dict[str, Any] = _open(flatbuffer).get_signature_list()
    return next(((name, ends["inputs"]) for name, ends in signatures.items()), None)


def _open(flatbuffer: Path) -> Any:
    """Open a file in LiteRT without laying out its tensors."""
    check_model(map_file(flatbuffer))
    litert: Any = import_module("ai_edge_litert.interpreter")
    return litert.Interpreter(model_path=str(flatbuffer))
