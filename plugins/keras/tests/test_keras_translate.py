from __future__ import annotations

import numpy as np
import pytest

from pupila import PupilaError
from pupila_keras.keras_imports import import_keras, import_tf_keras
from pupila_keras.probe import predict_probes
from pupila_keras.translate import TOLERANCE, to_keras_3

keras, tf_keras = import_keras(), import_tf_keras()
L = tf_keras.layers


def head(tensor):
    return L.Dense(2, activation="softmax", name="head")(L.GlobalAveragePooling2D()(tensor))


def functional(body):
    image = tf_keras.Input((24, 24, 3))
    return tf_keras.Model(image, head(body(image)))


def every_common_layer(image):
    tensor = L.Rescaling(1 / 127.5, offset=[-1.0, -0.9, -1.1])(image)
    tensor = L.ZeroPadding2D(((0, 1), (0, 1)))(tensor)
    tensor = L.Conv2D(8, 3, strides=2, use_bias=False, name="stem/conv")(tensor)
    tensor = L.BatchNormalization(name="stem/bn")(tensor)
    tensor = L.LeakyReLU(0.3)(tensor)
    tensor = skip = L.SeparableConv2D(8, 3, padding="same", activation="swish")(tensor)
    tensor = L.DepthwiseConv2D(3, padding="same", depth_multiplier=1)(tensor)
    tensor = L.ReLU(6.0)(L.LayerNormalization()(tensor))
    tensor = L.Concatenate()([L.Add()([tensor, skip]), skip])
    tensor = L.PReLU(shared_axes=[1, 2])(L.MaxPooling2D(2)(tensor))
    tensor = L.UpSampling2D()(L.AveragePooling2D()(tensor))
    tensor = L.Conv2DTranspose(6, 3, strides=2, padding="same")(tensor)
    tensor = L.ELU(0.7)(L.Conv2D(6, 3, groups=2)(tensor))
    tensor = L.GaussianNoise(0.1)(L.SpatialDropout2D(0.2)(L.RandomFlip()(tensor)))
    return L.Activation("tanh")(L.Cropping2D(1)(tensor))


def bare_operations(image):
    tensor = (image - 127.5) / 128.0 + 0.5
    tensor = tensor * 2.0
    left, right = L.Conv2D(4, 3)(tensor), L.Conv2D(4, 3)(tensor)
    return (left + right) * right - left


def gated(image):
    """Squeeze and excitation."""
    tensor = L.Conv2D(4, 3)(image)
    gate = L.GlobalAveragePooling2D(keepdims=True)(tensor)
    return L.Multiply()([tensor, L.Conv2D(4, 1, activation="sigmoid")(gate)])


def shared(image):
    layer = L.Conv2D(3, 3, padding="same")
    return L.Add()([layer(layer(image)), layer(image)])


def nested_functional(image):
    inner_image = tf_keras.Input((24, 24, 3))
    tensor = L.BatchNormalization()(L.Conv2D(4, 3, name="head")(inner_image))
    inner = tf_keras.Model(inner_image, tensor, name="inner")
    return L.Add()([inner(image, training=False), inner(L.Rescaling(0.5)(image))])


def nested_sequential(image):
    inner = tf_keras.Sequential([L.Conv2D(4, 3), L.Dropout(0.5), L.ReLU()], name="inner")
    return L.Conv2D(2, 1)(inner(image))


BODIES = [every_common_layer, bare_operations, gated, shared, nested_functional, nested_sequential]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_a_translated_model_has_the_same_outputs(body):
    legacy = functional(body)
    randomize(legacy)
    model, difference = to_keras_3(legacy)
    assert isinstance(model, keras.Model)
    assert difference <= TOLERANCE
    assert np.ptp(predict_probes(model)) > 0
    assert model.count_params() == legacy.count_params()


def randomize(model):
    """Make every weight matter: fresh batch normalisation does nothing."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.uniform(0.05, 0.5, weight.shape) - (len(weight.shape) > 1) / 4)


def test_sequential_models_nest_in_each_other():
    legacy = tf_keras.Sequential(
        [
            L.Rescaling(1 / 255, input_shape=(32, 32, 3)),
            tf_keras.applications.MobileNet(
                input_shape=(32, 32, 3), alpha=0.25, weights=None, include_top=False
            ),
            tf_keras.Sequential([L.GlobalAveragePooling2D(), L.Dense(4, activation="relu")]),
            L.Dense(2),
        ]
    )
    model, difference = to_keras_3(legacy)
    assert difference <= TOLERANCE
    assert [type(layer).__name__ for layer in model.layers] == [
        "Rescaling",
        "Functional",
        "Sequential",
        "Dense",
    ]
    assert not model.layers[1].get_layer("conv1").name.count("/")


def test_a_nested_model_may_be_the_last():
    inner = tf_keras.Sequential([L.GlobalAveragePooling2D(), L.Dense(2)], name="last")
    image = tf_keras.Input((24, 24, 3))
    last = tf_keras.Model(image, inner(image))
    outer_image = tf_keras.Input((24, 24, 3))
    model, difference = to_keras_3(tf_keras.Model(outer_image, last(outer_image)))
    assert difference <= TOLERANCE
    assert model.output_shape == (None, 2)


def test_frozen_layers_stay_frozen():
    legacy = functional(nested_functional)
    legacy.get_layer("inner").get_layer("head").trainable = False
    model, _ = to_keras_3(legacy)
    assert not model.get_layer("inner").get_layer("head").trainable
    assert model.get_layer("head").trainable


def test_a_layer_without_counterpart_is_named():
    legacy = functional(lambda image: L.ThresholdedReLU(0.5, name="threshold")(image))
    with pytest.raises(PupilaError, match="'threshold' is a ThresholdedReLU, which has no"):
        to_keras_3(legacy)


def test_a_layer_that_computes_differently_is_found_by_its_outputs():
    legacy = functional(lambda image: L.Activation("hard_sigmoid")(L.Rescaling(0.01)(image)))
    with pytest.raises(PupilaError, match=r"answers differently: by .*hard_sigmoid"):
        to_keras_3(legacy)


def test_a_number_on_the_left_is_refused():
    with pytest.raises(PupilaError, match="a number on the left"):
        to_keras_3(functional(lambda image: 1.0 - image))


def test_a_division_of_tensors_is_refused():
    with pytest.raises(PupilaError, match="divides one tensor by another"):
        to_keras_3(functional(lambda image: image / (image + 1.0)))
