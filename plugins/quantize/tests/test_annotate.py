from __future__ import annotations

import numpy as np
import pytest

from pupila import OutputSpec, PupilaError, keras_files
from pupila.testing import ignore_progress
from pupila_quantize.annotate import add_fake_quantisation
from pupila_quantize.bridge import predict, relative_difference, split_preprocessing, to_tf_keras
from pupila_quantize.comparing import predict as predict_file
from pupila_quantize.graph import float_operators
from pupila_quantize.lowering import lower
from pupila_quantize.lowering import tf_keras as legacy
from pupila_quantize.qat import convert

keras = keras_files.import_keras()
layers = keras.layers
SIDE = 16
OUTPUT = OutputSpec(kind="softmax", classes=("blue", "red"))
IMAGES = np.random.default_rng(0).integers(0, 256, (12, SIDE, SIDE, 3), np.uint8)


def normalised(layer):
    return lambda x: layers.BatchNormalization()(layer(x))


def squeezed(x):
    weights = layers.GlobalAveragePooling2D(keepdims=True)(x)
    weights = layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(weights)
    return layers.Multiply()([x, weights])


def shared(x):
    again = layers.Conv2D(8, 3, padding="same", activation="relu")
    return again(again(x))


BODIES = {
    "convolution": normalised(layers.Conv2D(6, 3, use_bias=False)),
    "convolution with a bias": normalised(layers.Conv2D(6, 3)),
    "grouped convolution": normalised(layers.Conv2D(8, 3, groups=2)),
    "depthwise convolution": normalised(layers.DepthwiseConv2D(3)),
    "widening depthwise convolution": normalised(layers.DepthwiseConv2D(3, depth_multiplier=2)),
    "separable convolution": normalised(layers.SeparableConv2D(6, 3, strides=2, padding="same")),
    "activated separable convolution": layers.SeparableConv2D(6, 3, activation="relu"),
    "transposed convolution": normalised(layers.Conv2DTranspose(6, 3, strides=2)),
    "normalisation after an activation": normalised(layers.Conv2D(6, 3, activation="relu")),
    "normalisation of vectors": lambda x: layers.BatchNormalization()(layers.Flatten()(x)),
    "dense": lambda x: normalised(layers.Dense(8))(layers.Flatten()(x)),
    "normalisation without scale": lambda x: layers.BatchNormalization(scale=False, center=False)(
        layers.Conv2D(6, 1)(x)
    ),
    "relu6": layers.Conv2D(6, 3, activation="relu6"),
    "swish": layers.Conv2D(6, 3, activation="swish"),
    "leaky relu": layers.LeakyReLU(0.2),
    "parametric relu": layers.PReLU(shared_axes=[1, 2], alpha_initializer="random_uniform"),
    "squeeze and excitation": squeezed,
    "residual": lambda x: layers.ReLU()(layers.Add()([x, layers.Conv2D(8, 1)(x)])),
    "concatenation": lambda x: layers.Concatenate()(
        [x, layers.MaxPooling2D(3, 1, "same")(x), layers.Conv2D(4, 1, activation="relu")(x)]
    ),
    "nested concatenation": lambda x: layers.Concatenate()(
        [x, layers.Concatenate()([layers.ReLU()(x), layers.Conv2D(4, 1)(x)])]
    ),
    "average pooling": lambda x: layers.Conv2D(4, 1)(layers.AveragePooling2D(3, 1, "same")(x)),
    "padding": lambda x: layers.Conv2D(4, 3)(layers.Cropping2D(1)(layers.ZeroPadding2D(2)(x))),
    "enlarging": layers.UpSampling2D(2),
    "dropout": layers.Dropout(0.5),
    "a layer called twice": shared,
}


def net(body, answer=None):
    """A net with a `body` between its first convolution and its last layer."""
    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = body(layers.Conv2D(8, 3, strides=2, name="first", activation="relu")(x))
    x = layers.Flatten()(x)
    model = keras.Model(image, (answer or layers.Dense(2, activation="softmax", name="last"))(x))
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            drawn = [w + random.uniform(0, 0.5, w.shape) for w in layer.get_weights()]
            layer.set_weights(drawn)
    return model


def halves(model):
    preprocessing, body = split_preprocessing(model)
    return to_tf_keras(body), preprocessing


@pytest.mark.parametrize("name", BODIES)
def test_a_rewritten_model_answers_the_same_without_normalisation(name):
    model = net(BODIES[name])
    flat, preprocessing = halves(model)
    rewritten = lower(flat, preprocessing)
    kinds = {type(layer).__name__ for layer in rewritten.layers}
    assert not kinds & {"BatchNormalization", "SeparableConv2D", "Dropout"}
    images = IMAGES.astype(np.float32)
    assert relative_difference(predict(model, images), predict(rewritten, images)) < 1e-5


@pytest.mark.parametrize("name", BODIES)
def test_only_the_softmax_of_the_file_is_in_float_and_it_answers_like_the_model_in_training(
    name, tmp_path
):
    model = net(BODIES[name])
    made = add_fake_quantisation(*halves(model))
    made.model(IMAGES.astype(np.float32), training=True)
    assert made.output_only == []
    path = tmp_path / "model.tflite"
    content, _ = convert(made.model, OUTPUT, "float")
    path.write_bytes(content)
    assert float_operators(path) == {"SOFTMAX": 1}
    in_float = predict(model, IMAGES.astype(np.float32))
    in_training = predict(made.model, IMAGES.astype(np.float32))
    in_file = predict_file(path, IMAGES, ignore_progress)
    assert np.ptp(in_float, axis=0).max() > 0.05
    assert np.abs(in_training - in_float).max() < 0.06
    assert np.abs(in_file - in_training).max() < 0.02


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (layers.LayerNormalization(name="odd"), ["odd"]),
        (layers.ELU(name="odd"), ["odd"]),
        (layers.Conv2D(4, 1, activation="selu", name="odd"), ["odd_activation"]),
    ],
)
def test_layers_without_an_int8_kernel_are_named(body, names):
    assert add_fake_quantisation(*halves(net(body))).output_only == names


def test_normalisation_of_another_axis_than_the_last_is_refused():
    with pytest.raises(PupilaError, match=r"'odd' normalises axis \[1\]"):
        lower(halves(net(layers.BatchNormalization(axis=1, name="odd")))[0])


def test_ranges_are_those_of_the_first_batch_however_wide():
    model = net(
        layers.Conv2D(4, 1, kernel_initializer=keras.initializers.Constant(100.0)),
        layers.Dense(2),
    )
    made = add_fake_quantisation(*halves(model))
    images = IMAGES.astype(np.float32)
    made.model(images, training=True)
    assert max(float(weight) for weight in made.model.weights if weight.shape == ()) > 100
    assert relative_difference(predict(model, images), predict(made.model, images)) < 0.05


def test_ranges_then_follow_slowly():
    made = add_fake_quantisation(*halves(net(layers.ReLU())))

    def ends():
        return np.array([w for w in made.model.weights if w.name.endswith("high:0")])

    made.model(np.full((1, SIDE, SIDE, 3), 255, np.float32), training=True)
    first = ends()
    made.model(np.full((1, SIDE, SIDE, 3), 0, np.float32), training=True)
    second = ends()
    made.model(np.full((1, SIDE, SIDE, 3), 0, np.float32), training=False)
    assert 0 < np.abs(second - first).max() < 0.02 * np.abs(first).max() + 0.02
    assert (ends() == second).all()


def test_each_channel_of_a_depthwise_convolution_has_its_own_scale():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 8, 1)) * 10.0 ** -np.arange(8)[:, None]
    depthwise = layers.DepthwiseConv2D(3, name="depthwise")
    model = net(depthwise, layers.Dense(2))
    depthwise.set_weights([kernel, np.zeros(8)])
    made = add_fake_quantisation(*halves(model))
    wrapper = next(layer for layer in made.model.layers if layer.name.endswith("depthwise"))
    wrapper(np.ones((1, 5, 5, 8), np.float32), training=False)
    rounded = np.asarray(wrapper.layer.depthwise_kernel)
    largest = np.abs(kernel).max(axis=(0, 1), keepdims=True)
    assert (np.abs(rounded - kernel) / largest).max() < 0.5 / 127 + 1e-6
    levels = rounded / (largest / 127)
    assert levels == pytest.approx(np.rint(levels), abs=1e-3)


def test_gradients_reach_every_weight_through_the_rounding():
    import tensorflow as tf

    made = add_fake_quantisation(*halves(net(BODIES["separable convolution"])))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(made.model(IMAGES.astype(np.float32), training=True)[:, 0])
    gradients = tape.gradient(loss, made.model.trainable_variables)
    assert len(gradients) == 7  # kernels and biases of 1 + 1 (depthwise: no bias) + 1 + 1 layers
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


def test_preprocessing_is_not_trained():
    made = add_fake_quantisation(*halves(net(layers.ReLU())))
    assert [w.name for w in made.model.trainable_variables if "preprocessing" in w.name] == []
    assert isinstance(made.model, legacy.Model)
