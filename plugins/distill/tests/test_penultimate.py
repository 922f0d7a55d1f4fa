"""The features of a classifier are the input of its last layer with weights."""

from __future__ import annotations

import numpy as np
import pytest

from pupila import PupilaError, keras_files
from pupila.testing.attention import attention_model
from pupila_distill.penultimate import penultimate

keras = keras_files.import_keras()
layers = keras.layers

IMAGE = (8, 8, 3)
PICTURES = np.random.default_rng(0).integers(0, 256, (3, *IMAGE)).astype(np.float32)


def trunk(image):
    x = layers.Rescaling(1 / 255)(image)
    return layers.Conv2D(5, 3, 2, activation="relu", name="trunk")(x)


def pooled(image):
    return layers.GlobalAveragePooling2D()(trunk(image))


def with_hidden_layer(image):
    x = layers.Dense(4, activation="relu")(pooled(image))
    return layers.Dense(2, activation="softmax")(layers.Dropout(0.5)(x))


def ending_in_a_convolution(image):
    x = layers.Conv2D(2, 1)(trunk(image))
    return layers.Softmax()(layers.GlobalAveragePooling2D()(x))


def ending_in_one_logit(image):
    return layers.Activation("sigmoid")(layers.Dense(1)(layers.Flatten()(trunk(image))))


def nested(image):
    inner = keras.Input(IMAGE)
    x = keras.Model(inner, pooled(inner), name="inner")(image)
    return layers.Dense(3, activation="softmax")(x)


def nested_with_its_last_layer(image):
    inner = keras.Input(IMAGE)
    logits = layers.Dense(3)(pooled(inner))
    return layers.Softmax()(keras.Model(inner, logits, name="inner")(image))


@pytest.mark.parametrize(
    ("ending", "count"),
    [
        (with_hidden_layer, 4),
        (ending_in_a_convolution, 5),
        (ending_in_one_logit, 45),
        (nested, 5),
        (nested_with_its_last_layer, 5),
    ],
)
def test_the_logits_are_made_of_the_features(ending, count):
    image = keras.Input(IMAGE)
    model = keras.Model(image, ending(image))
    last = penultimate(model)
    features, given = (
        np.asarray(output)
        for output in keras.Model(last.image, [last.features, last.output])(PICTURES)
    )
    assert given == pytest.approx(np.asarray(model(PICTURES)), abs=1e-6)
    logits = features @ last.kernel
    assert last.kernel.shape == (count, given.shape[1])
    if given.shape[1] == 1:
        assert np.log(given / (1 - given)) == pytest.approx(logits, abs=1e-4)
    else:
        apart = np.log(given) - logits
        assert np.ptp(apart, axis=1) == pytest.approx(0, abs=1e-4)


def test_in_training_the_features_are_those_before_dropout():
    keras.utils.set_random_seed(0)
    image = keras.Input(IMAGE)
    last = penultimate(keras.Model(image, with_hidden_layer(image)))
    features, read = keras.Model(last.image, [last.features, last.read])(PICTURES, training=True)
    assert (np.asarray(read) != np.asarray(features)).any()
    still, _ = keras.Model(last.image, [last.features, last.read])(PICTURES)
    assert np.asarray(features) == pytest.approx(np.asarray(still))


def ending_in_a_norm(image):
    return layers.BatchNormalization(name="last")(layers.Dense(2)(pooled(image)))


def ending_in_a_sum(image):
    x = pooled(image)
    return layers.Add(name="last")([layers.Dense(2)(x), layers.Dense(2)(x)])


def ending_in_a_wide_convolution(image):
    return layers.Flatten()(layers.Conv2D(2, 3, name="last")(trunk(image)))


def without_weights(image):
    return layers.GlobalAveragePooling2D()(image)


@pytest.mark.parametrize(
    ("ending", "last"),
    [
        (ending_in_a_norm, r"'last' \(BatchNormalization\)"),
        (ending_in_a_sum, r"'last' \(Add\)"),
        (ending_in_a_wide_convolution, r"'last' \(Conv2D\)"),
        (without_weights, r"\(InputLayer\)"),
    ],
)
def test_a_model_that_ends_otherwise_is_refused(ending, last):
    image = keras.Input(IMAGE)
    with pytest.raises(PupilaError, match=rf"'net' ends in .*{last}, where a dense layer or"):
        penultimate(keras.Model(image, ending(image), name="net"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("vgg16_nested.h5", 256),
        ("xception_nested.keras", 2048),
        ("squeezenet.keras", 512),
        ("efficientnet_lite0.keras", 1280),
    ],
)
def test_the_answers_of_a_real_teacher_are_made_of_its_features(name, count, real_teacher):
    model = real_teacher(name)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3)).astype(np.float32)
    last = penultimate(model)
    features = np.asarray(keras.Model(last.image, last.features)(pictures))
    apart = np.log(np.asarray(model(pictures))) - features @ last.kernel
    assert last.kernel.shape == (count, 2)
    biases = apart[:, 0] - apart[:, 1]
    assert biases == pytest.approx(np.full(3, biases[0]), abs=2e-3)


@pytest.mark.parametrize(
    ("kind", "features"),
    [("transformer", 16), ("hybrid", 16), ("attentions", 64), ("operations", 16)],
)
def test_a_model_with_attention_has_features(kind, features):
    last = penultimate(attention_model(kind))
    assert last.features.shape == (None, features)
    assert last.kernel.shape == (features, 2)
