from __future__ import annotations

import numpy as np
import pytest

from pupila import PupilaError, keras_files
from pupila.testing.nested import functional, outer_functional, outer_sequential, pictures
from pupila_oneclass.extractor import build_extractor, unfreeze_last_stage

keras = keras_files.import_keras()
layers = keras.layers


def flat(x):
    x = layers.Conv2D(5, 3, 2, activation="relu", name="early")(x)
    x = layers.Conv2D(7, 3, 2, activation="relu", name="late")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return layers.Dense(2, name="answer")(layers.Dense(4, name="dense")(x))


def without_pooling(x):
    x = layers.MaxPooling2D(name="last_map")(layers.Conv2D(6, 3, name="conv")(x))
    return layers.Dense(2)(layers.Flatten()(x))


def class_maps(x):
    x = layers.Dropout(0.5, name="drop")(layers.Conv2D(9, 3, name="features")(x))
    x = layers.ReLU()(layers.Conv2D(2, 1, name="class_maps")(x))
    return layers.Softmax()(layers.GlobalAveragePooling2D()(x))


def squeezed(x):
    x = layers.Conv2D(8, 3, name="conv")(x)
    part = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, layers.Conv2D(8, 1, name="excite")(part)])
    return layers.Dense(2)(layers.GlobalMaxPooling2D()(layers.Conv2D(11, 3, name="last")(x)))


def heat_map(x):
    x = layers.Conv2D(3, 1, name="heat")(layers.Conv2D(7, 3, name="features")(x))
    return layers.Activation("sigmoid")(x)


MODELS = [
    ("flat", functional(flat), "late", 7),
    ("without pooling", functional(without_pooling), "last_map", 6),
    ("maps of the classes", functional(class_maps), "features", 9),
    ("heat map", functional(heat_map), "features", 7),
    ("squeeze and excitation", functional(squeezed), "last", 11),
]


@pytest.mark.parametrize(
    ("model", "layer", "columns"),
    [case[1:] for case in MODELS],
    ids=[case[0] for case in MODELS],
)
def test_features_are_the_means_of_the_last_feature_map(model, layer, columns):
    shown = pictures()
    maps = keras.Model(model.inputs, model.get_layer(layer).output).predict(shown, verbose=0)
    features = build_extractor(model, 2).predict(shown, verbose=0)
    assert features.shape == (3, columns)
    np.testing.assert_allclose(features, maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("model", "columns"),
    [(outer_functional(), 6), (outer_sequential(), 4)],
    ids=["functional", "sequential"],
)
def test_a_nested_backbone_is_seen_through(model, columns):
    net = build_extractor(model, 2)
    assert net.output_shape == (None, columns)
    assert not [layer for layer in net.layers if isinstance(layer, keras.Model)]


@pytest.mark.parametrize(("name", "columns"), [("early", 5), ("late", 7), ("dense", 4)])
def test_a_layer_may_be_named(name, columns):
    assert build_extractor(functional(flat), 2, name).output_shape == (None, columns)


def test_an_unknown_layer_is_refused_with_the_nearest_and_the_last_ones():
    with pytest.raises(PupilaError, match=r"no layer 'lat'\. Did you mean 'late'\?.*pool, dense"):
        build_extractor(functional(flat), 2, "lat")


def test_a_layer_that_gives_no_features_is_refused():
    def body(x):
        return layers.Dense(2)(layers.Flatten()(layers.Reshape((32, 96), name="rows")(x)))

    with pytest.raises(PupilaError, match=r"'rows' gives \(None, 32, 96\), where features"):
        build_extractor(functional(body), 2, "rows")


def test_a_net_without_a_feature_map_is_refused():
    def body(x):
        return layers.Dense(2, name="answer")(layers.Flatten(name="flat")(x))

    with pytest.raises(PupilaError, match=r"no feature map.*flat, answer"):
        build_extractor(functional(body), 2)


def vgg_like(x):
    for block, filters in enumerate((4, 6, 8), 1):
        for number in (1, 2):
            convolution = layers.Conv2D(filters, 3, padding="same", name=f"block{block}_{number}")
            x = layers.BatchNormalization(name=f"norm{block}_{number}")(convolution(x))
        x = layers.MaxPooling2D(name=f"pool{block}")(x)
    return layers.Dense(2)(layers.GlobalAveragePooling2D()(x))


def test_the_last_stage_is_all_of_its_kernels_but_no_statistics():
    net = build_extractor(functional(vgg_like), 2)
    unfreeze_last_stage(net)
    trained = {weight.path.split("/")[0] for weight in net.trainable_weights}
    assert trained == {"block3_1", "block3_2"}


def test_a_net_without_a_kernel_cannot_be_fine_tuned():
    def body(x):
        x = layers.AveragePooling2D(2, name="map")(x)
        return layers.Dense(2)(layers.GlobalAveragePooling2D()(x))

    with pytest.raises(PupilaError, match="no layer with a kernel before its features"):
        unfreeze_last_stage(build_extractor(functional(body), 2))
