"""Helps to test in a browser: skips tests, and makes a model that LiteRT.js cannot run."""

from __future__ import annotations

from typing import Any

from pupila.errors import PupilaError
from pupila.keras_files import import_keras
from pupila.spec import InputSpec
from pupila.web.pages import Pages


def skip_without(pages: Pages) -> None:
    """Skip the running test if `pages` were not built."""
    import pytest

    try:
        pages.find()
    except PupilaError as error:
        pytest.skip(str(error))


def flatbuffer_with_lacking_operator(input: InputSpec, classes: int) -> bytes:
    """Return a `.tflite` model with an operator that LiteRT.js lacks: a determinant.

    The model takes one image, float32 `(1, height, width, 3)`, and gives `(1, classes)`.
    """
    import_keras()
    import tensorflow

    tf: Any = tensorflow

    def answer(image: Any) -> Any:
        squares = tf.matmul(image[..., 0], image[..., 1], transpose_b=True)
        return tf.stack([tf.linalg.det(squares)] * classes, axis=1)

    module = tf.Module()
    signature = [tf.TensorSpec((1, *input.shape), tf.float32)]
    module.answer = tf.function(answer, input_signature=signature)
    concrete = [module.answer.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(concrete, module)
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    return converter.convert()
