from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pupila.litert.tensor_io import Border


@pytest.mark.parametrize(
    ("border", "real", "stored"),
    [
        (("int8", 1.0, -128), [0.0, 255.0, 300.0, -9.0], [-128, 127, 127, -128]),
        (("uint8", 1.0, 0), [0.0, 254.6, 300.0, -9.0], [0, 255, 255, 0]),
        (("int8", 0.5, 3), [0.0, 1.0, -1.5, 0.26], [3, 5, 0, 4]),
        (("uint8", 0.0, 0), [0.0, 7.0, 255.0], [0, 7, 255]),
        (("float32", 0.0, 0), [0.0, 7.5, 255.0], [0.0, 7.5, 255.0]),
    ],
)
def test_a_border_stores_values_by_its_scale(
    border: tuple[str, float, int], real: list[float], stored: list[float]
):
    dtype, scale, zero_point = border
    end = Border((1, len(real)), np.dtype(dtype), scale, zero_point)
    np.testing.assert_array_equal(end.stored(np.array(real, np.float32)), stored)
    expected = (np.array(stored, np.float32) - zero_point) * scale if scale else stored
    np.testing.assert_allclose(end.real(np.array(stored, dtype)), expected)


@pytest.mark.parametrize(
    ("detail", "shape", "index"),
    [
        ({"index": 7, "shape_signature": np.array([-1, 2, 3, 3])}, (-1, 2, 3, 3), 7),
        ({}, (1, 2, 3, 3), 0),
    ],
    ids=["LiteRT", "TFLite Micro"],
)
def test_a_border_is_read_from_what_either_interpreter_says(
    detail: dict[str, Any], shape: tuple[int, ...], index: int
):
    steps = {"scales": np.array([0.5], np.float32), "zero_points": np.array([-3])}
    told = {"shape": np.array([1, 2, 3, 3]), "dtype": np.int8, "quantization_parameters": steps}
    border = Border.of(told | detail)
    assert border == Border(shape, np.dtype(np.int8), 0.5, -3, index)
    assert border.values == 18
    assert border.span == (-62.5, 65.0)
