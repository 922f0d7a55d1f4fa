from __future__ import annotations

import numpy as np
import pytest

from pupila import PupilaError
from pupila_keras.keras_imports import import_keras, import_tensorflow, import_tf_keras
from pupila_keras.probe import predict_probes
from pupila_keras.translate import TOLERANCE, to_keras_3

keras, tf_keras, tf = import_keras(), import_tf_keras(), import_tensorflow()
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


def patches(image):
    return L.Reshape((9, 8))(L.Conv2D(8, 8, strides=8)(L.Rescaling(1 / 127.5, -1)(image)))


def feature_map(tensor):
    return L.Reshape((3, 3, -1))(tensor)


def transformer_block(image):
    positions = L.Embedding(9, 8, embeddings_initializer="normal")(tf.range(9))  # now a constant
    tensor = patches(image) + positions
    tensor = L.Add()([tensor, L.MultiHeadAttention(2, 4)(*2 * [L.LayerNormalization()(tensor)])])
    return feature_map(L.Dense(8, activation="gelu")(tensor))


def attentions(image):
    """Layers side by side have weights of the same shapes, so a wrong order changes the answer."""
    tensor = patches(image)
    query, value, key = (L.Dense(8)(tensor) for _ in range(3))
    heads, scores = L.MultiHeadAttention(2, 4)(
        query, value=value, key=key, return_attention_scores=True
    )
    added = L.AdditiveAttention()([query, L.Attention(use_scale=True)([query, value, key])])
    mixed = L.EinsumDense("abc,cd->abd", (9, 8), bias_axes="d")(added)
    products = L.Dot((2, 1))([L.Softmax()(L.Dot((2, 2))([mixed, key])), value])
    scores = L.Cropping2D(((0, 6), (0, 6)))(L.Permute((2, 3, 1))(scores))
    return L.Concatenate()([feature_map(L.Add()([heads, products])), scores])


def cross_attention(image):
    left, right = tf_keras.Input((9, 8)), tf_keras.Input((9, 8))
    attended = L.MultiHeadAttention(2, 4)(left, right, use_causal_mask=True)
    inner = tf_keras.Model([left, right], L.Add()([left, attended]))
    tensor = patches(image)
    return feature_map(inner([L.Dense(8)(tensor), L.Dense(8)(tensor)]))


def recurrent(image):
    """Layers with a state, and layers in the settings of others."""
    tensor = L.TimeDistributed(tf_keras.Sequential([L.Dense(4), L.ReLU()]))(patches(image))
    tensor, *state = L.LSTM(6, return_sequences=True, return_state=True)(tensor)
    tensor = L.LSTM(6, return_sequences=True)(tensor, initial_state=state)
    tensor, *states = L.Bidirectional(L.GRU(3, return_sequences=True, return_state=True))(tensor)
    backward = L.GRU(3, return_sequences=True, go_backwards=True)
    both = L.Bidirectional(L.GRU(3, return_sequences=True), backward_layer=backward)
    tensor = both(tensor, initial_state=states)
    cells = [L.LSTMCell(4), L.SimpleRNNCell(4)]
    return feature_map(L.RNN(cells, return_sequences=True)(tensor))


BODIES = [
    *(every_common_layer, bare_operations, gated, shared, nested_functional, nested_sequential),
    *(transformer_block, attentions, cross_attention, recurrent),
]


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
