"""Writes Einstein sums as products of matrices, which every backend of TF.js can compute.

Keras' attention layers call `tf.einsum`, which gives an operation `Einsum` that the WebAssembly
backend lacks.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from math import prod
from typing import Any

from pupila import keras_files


@contextmanager
def einsum_as_products() -> Generator[None]:
    """Replace `tf.einsum` while a model is traced."""
    tf = keras_files.import_tensorflow()
    original = tf.einsum

    def einsum(equation: str, *tensors: Any, **settings: Any) -> Any:
        product = _product(tf, equation, tensors)
        return original(equation, *tensors, **settings) if product is None else product

    tf.einsum = einsum
    try:
        yield
    finally:
        tf.einsum = original


def _product(tf: Any, equation: str, tensors: tuple[Any, ...]) -> Any:
    """Return the sum as one product of two batches of matrices; None if it is not one.

    Indices of both tensors and the result number the matrices, those of both tensors alone are
    summed, and the others are rows of the first and columns of the second.
    """
    given, _, result = equation.replace(" ", "").partition("->")
    first, _, second = given.partition(",")
    shapes = [tensor.shape for tensor in tensors]
    if len(tensors) != 2 or any(None in shape for shape in shapes) or not _plain(first, second):
        return None
    sizes = dict(zip(first, shapes[0], strict=True)) | dict(zip(second, shapes[1], strict=True))
    batch = [index for index in first if index in second and index in result]
    summed = [index for index in first if index in second and index not in result]
    rows = [index for index in first if index not in second]
    columns = [index for index in second if index not in first]
    if sorted([*batch, *rows, *columns]) != sorted(result):
        return None

    def sizes_of(indices: list[str]) -> list[int]:
        return [sizes[index] for index in indices]

    def matrices(tensor: Any, labels: str, above: list[str], below: list[str]) -> Any:
        order = [labels.index(index) for index in (*batch, *above, *below)]
        shape = [*sizes_of(batch), prod(sizes_of(above)), prod(sizes_of(below))]
        return tf.reshape(tf.transpose(tensor, order), shape)

    left, right = tensors
    product = tf.matmul(
        matrices(left, first, rows, summed), matrices(right, second, summed, columns)
    )
    kept = [*batch, *rows, *columns]
    return tf.transpose(tf.reshape(product, sizes_of(kept)), [kept.index(i) for i in result])


def _plain(*labels: str) -> bool:
    """Return whether all indices are letters, and none is twice in one tensor."""
    return all(tensor.isalpha() and len(set(tensor)) == len(tensor) for tensor in labels)
