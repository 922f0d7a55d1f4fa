from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pupila.litert.tensor_io import TensorIO, to_integers


@pytest.mark.parametrize(
    ("tensor", "real", "stored"),
    [
        (("int8", 1.0, -128), [0.0, 255.0, 300.0, -9.0], [-128, 127, 127, -128]),
        (("uint8", 1.0, 0), [0.0, 254.6, 300.0, -9.0], [0, 255, 255, 0]),
        (("int8", 0.5, 3), [0.0, 1.0, -1.5, 0.26], [3, 5, 0, 4]),
        (("uint8", 0.0, 0), [0.0, 7.0, 255.0], [0, 7, 255]),
        (("float32", 0.0, 0), [0.0, 7.5, 255.0], [0.0, 7.5, 255.0]),
    ],
)
def test_values_are_stored_by_scale_and_zero_point(
    tensor: tuple[str, float, int], real: list[float], stored: list[float]
):
    dtype, scale, zero_point = tensor
    end = TensorIO((1, len(real)), np.dtype(dtype), scale, zero_point)
    np.testing.assert_array_equal(end.quantize(np.array(real, np.float32)), stored)
    expected = (np.array(stored, np.float32) - zero_point) * scale if scale else stored
    np.testing.assert_allclose(end.dequantize(np.array(stored, dtype)), expected)


@pytest.mark.parametrize(("dtype", "stored"), [("uint8", 0), ("float32", 0), ("float64", -1)])
def test_a_value_halfway_between_two_integers_is_rounded_in_the_precision_of_the_values(
    dtype: str, stored: int
):
    image = TensorIO((1, 1), np.dtype(np.int8), float(np.float32(254 / 255)), -128)
    assert image.quantize(np.array([126, 127], dtype)).tolist() == [-2, stored]


def test_integers_are_rounded_to_even_and_clipped_to_their_type():
    integers = to_integers(np.array([-200, -1.5, 0.5, 126.6, 300]), np.dtype(np.int8))
    assert integers.dtype == np.int8
    assert integers.tolist() == [-128, -2, 0, 127, 127]


@pytest.mark.parametrize(
    ("detail", "shape", "index"),
    [
        ({"index": 7, "shape_signature": np.array([-1, 2, 3, 3])}, (-1, 2, 3, 3), 7),
        ({}, (1, 2, 3, 3), 0),
    ],
    ids=["LiteRT", "TFLite Micro"],
)
def test_a_tensor_is_read_from_the_details_of_either_interpreter(
    detail: dict[str, Any], shape: tuple[int, ...], index: int
):
    steps = {"scales": np.array([0.5], np.float32), "zero_points": np.array([-3])}
    shared = {"shape": np.array([1, 2, 3, 3]), "dtype": np.int8, "quantization_parameters": steps}
    tensor = TensorIO.of(shared | detail)
    assert tensor == TensorIO(shape, np.dtype(np.int8), 0.5, -3, index)
    assert tensor.values_per_image == 18
    assert tensor.real_range == (-62.5, 65.0)
