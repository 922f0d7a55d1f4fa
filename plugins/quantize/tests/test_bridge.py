from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from pupila import InputSpec, PupilaError, installed, keras_files
from pupila_quantize.bridge import (
    predict,
    relative_difference,
    split_preprocessing,
    to_tf_keras,
)

keras = keras_files.import_keras()
layers = keras.layers
SIDE = 16


def drawn(*shape, low=0.0, high=255.0, seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def with_drawn_statistics(model):
    """Give batch normalisation other statistics than those of a new layer, nested models too."""
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([w + random.uniform(0, 0.1, w.shape) for w in layer.get_weights()])
        elif hasattr(layer, "layers"):
            with_drawn_statistics(layer)
    return model


def transferred(name, side):
    """A backbone inside another model, as transfer learning makes them."""
    kind = getattr(keras.applications, name)
    backbone = kind(weights=None, include_top=False, input_shape=(side, side, 3))
    image = keras.Input((side, side, 3))
    x = backbone(image / 127.5 - 1.0, training=False)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return with_drawn_statistics(keras.Model(image, layers.Dense(3, activation="softmax")(x)))


def small(head=lambda image: image, body=lambda x: x):
    """A net with a `head` before and a `body` after its first convolution."""
    image = keras.Input((SIDE, SIDE, 3))
    x = body(layers.Conv2D(4, 3, name="first")(head(image)))
    return keras.Model(image, layers.Dense(2, name="last")(layers.Flatten()(x)))


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("VGG16", 32),
        ("VGG19", 32),
        ("MobileNetV2", 32),
        ("ResNet50", 32),
        pytest.param("InceptionV3", 75, marks=pytest.mark.long),
        pytest.param("Xception", 71, marks=pytest.mark.long),
        pytest.param("DenseNet121", 32, marks=pytest.mark.long),
        pytest.param("EfficientNetB0", 32, marks=pytest.mark.long),
    ],
)
def test_a_nested_model_becomes_one_flat_one_of_the_same_answers(name, side):
    model = transferred(name, side)
    preprocessing, body = split_preprocessing(model)
    assert preprocessing is not None
    flat = to_tf_keras(body)
    names = [layer.name for layer in flat.layers]
    assert len(set(names)) == len(names) > 20
    assert not [layer for layer in flat.layers if hasattr(layer, "layers")]
    images = drawn(2, side, side, 3, seed=1)
    processed = images @ preprocessing.matrix + preprocessing.offset
    assert relative_difference(predict(model, images), predict(flat, processed)) < 1e-5


@pytest.mark.parametrize("name", ["mobile-xs", "mobile-s", "conv-32-64-8", "residual-m"])
def test_a_student_keeps_its_answers(name):
    student = installed().student(name).load()(InputSpec(height=32, width=32), 2)
    with_drawn_statistics(student)
    images = drawn(2, 32, 32, 3)
    flat = to_tf_keras(student)
    assert relative_difference(predict(student, images), predict(flat, images)) < 1e-5


@pytest.mark.parametrize(
    ("head", "matrix", "offset"),
    [
        (layers.Rescaling(1 / 127.5, offset=-1), np.eye(3) / 127.5, [-1, -1, -1]),
        (layers.Rescaling(1.0, offset=[-123, -116, -103]), np.eye(3), [-123, -116, -103]),
        (layers.Normalization(mean=[1, 2, 3], variance=[4, 4, 16]), None, [-0.5, -1, -0.75]),
        (lambda image: image / 255.0, np.eye(3) / 255, [0, 0, 0]),
        (lambda image: image[..., ::-1] - 100.0, np.eye(3)[::-1], [-100] * 3),
        (lambda image: layers.RandomFlip()(image) * 2.0, 2 * np.eye(3), [0, 0, 0]),
    ],
)
def test_preprocessing_becomes_a_matrix(head, matrix, offset):
    model = small(head)
    preprocessing, body = split_preprocessing(model)
    assert preprocessing is not None
    matrix = np.diag([0.5, 0.5, 0.25]) if matrix is None else matrix
    assert preprocessing.matrix == pytest.approx(matrix, abs=1e-6)
    assert preprocessing.offset == pytest.approx(np.array(offset), abs=1e-4)
    images = drawn(2, SIDE, SIDE, 3)
    processed = images @ preprocessing.matrix + preprocessing.offset
    assert relative_difference(predict(model, images), predict(body, processed)) < 1e-5
    low, high = preprocessing.bounds
    assert low <= processed.min() and processed.max() <= high


def test_a_model_that_takes_pixels_as_they_are_has_no_head():
    preprocessing, body = split_preprocessing(small())
    assert preprocessing is None
    assert [layer.name for layer in body.layers][1] == "first"


@pytest.mark.parametrize(
    "head",
    [
        keras.ops.square,
        lambda image: image - keras.ops.mean(image, axis=(1, 2), keepdims=True),
        lambda image: image[:, 1:],
    ],
)
def test_preprocessing_that_is_not_an_affine_map_of_pixels_is_refused(head):
    with pytest.raises(PupilaError, match="not the same affine map of every pixel"):
        split_preprocessing(small(head))


def test_two_scalings_of_one_picture_are_refused():
    image = keras.Input((SIDE, SIDE, 3))
    parts = [layers.Conv2D(2, 3)(image * factor) for factor in (1.0, 2.0)]
    with pytest.raises(PupilaError, match="passes 2 tensors to"):
        split_preprocessing(keras.Model(image, layers.Flatten()(layers.Add()(parts))))


def test_sums_and_products_of_layers_are_kept():
    model = small(body=lambda x: (x + layers.ReLU()(x)) * x)
    images = drawn(2, SIDE, SIDE, 3)
    flat = to_tf_keras(model)
    assert relative_difference(predict(model, images), predict(flat, images)) < 1e-5


def test_a_layer_that_is_called_twice_stays_one():
    again = layers.Conv2D(4, 3, padding="same", name="again")
    model = small(body=lambda x: again(again(x)))
    flat = to_tf_keras(model)
    assert len(flat.weights) == len(model.weights)
    images = drawn(2, SIDE, SIDE, 3)
    assert relative_difference(predict(model, images), predict(flat, images)) < 1e-5


class Doubling(layers.Layer):
    def call(self, inputs):
        return 2 * inputs


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (Doubling(name="mine"), "'mine' is a Doubling"),
        (layers.Activation("hard_silu", name="hard"), "'hard' is a Activation.*'hard_silu'"),
        (layers.Activation("hard_sigmoid", name="hard"), "'hard_sigmoid'"),
        (layers.Conv2D(2, 1, activation="celu", name="conv"), "'conv' is a Conv2D .*'celu'"),
        (lambda x: x + 1.0, "is the operation Add on a constant"),
        (keras.ops.sin, "is the operation Sin"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_its_name(body, said):
    with pytest.raises(PupilaError, match=said + ".*quantize-int8"):
        to_tf_keras(small(body=body))


@pytest.mark.parametrize("function", [split_preprocessing, to_tf_keras])
def test_weights_that_are_not_finite_are_refused_by_the_layer(function):
    model = small()
    kernel = model.get_layer("first").kernel
    kernel.assign(kernel * np.nan)
    with pytest.raises(PupilaError, match="Layer 'first' has weights that are NaN or infinite"):
        function(model)


class NoGraph(keras.Model):
    def call(self, inputs):
        return inputs


def test_a_model_that_is_not_a_graph_is_refused():
    with pytest.raises(PupilaError, match="is a NoGraph"):
        to_tf_keras(NoGraph())


def test_the_library_is_imported_without_a_trace_in_the_environment():
    program = (
        "import os; from pupila_quantize.bridge import import_tfmot; import_tfmot(); "
        "import tensorflow; assert 'TF_USE_LEGACY_KERAS' not in os.environ; "
        "assert tensorflow.keras.__version__.startswith('3.')"
    )
    environment = {key: value for key, value in os.environ.items() if "LEGACY" not in key}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
