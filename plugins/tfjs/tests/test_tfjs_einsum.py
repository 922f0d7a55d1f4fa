"""Einstein sums become products of matrices with the same values."""

from __future__ import annotations

import numpy as np
import pytest

from pupila.keras_files import import_tensorflow
from pupila_tfjs.einsum import einsum_as_products

tf = import_tensorflow()
SIZES = {"a": 2, "b": 3, "c": 4, "d": 5, "e": 6, "f": 7}


def operations(equation: str, *tensors) -> tuple[set[str], np.ndarray]:
    """Trace a sum; return the names of its operations and its value."""
    function = tf.function(lambda *given: tf.einsum(equation, *given), autograph=False)
    with einsum_as_products():
        traced = function.get_concrete_function(*tensors)
    return {node.type for node in traced.graph.get_operations()}, traced(*tensors).numpy()


@pytest.mark.parametrize(
    "equation",
    [
        "aecd,abcd->acbe",  # scores of MultiHeadAttention
        "acbe,aecd->abcd",
        "abcd,aefd->abcef",
        "abc,cde->abde",  # a projection
        "ab,bc->ca",
        "ab,cd->dbac",
    ],
)
def test_a_sum_of_two_tensors_is_a_product_of_matrices(equation: str):
    random = np.random.default_rng(0)
    labels = equation.partition("->")[0].split(",")
    tensors = [
        tf.constant(random.normal(size=[SIZES[index] for index in tensor]), tf.float32)
        for tensor in labels
    ]
    names, values = operations(equation, *tensors)
    assert "Einsum" not in names and names & {"MatMul", "BatchMatMulV2"}
    np.testing.assert_allclose(values, tf.einsum(equation, *tensors), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("equation", ["aa,ab->ab", "ab,cb->a", "...b,bc->...c"])
def test_other_sums_are_left_to_tensorflow(equation: str):
    square = tf.ones((3, 3))
    assert "Einsum" in operations(equation, square, square)[0]
