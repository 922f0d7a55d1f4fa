"""Synaptic flow is conserved, so no layer is cut off completely."""

from __future__ import annotations

import numpy as np
import pytest

from pupila import PupilaError, keras_files
from pupila.testing.nested import functional
from pupila_prune.kernels import kernels_of
from pupila_prune.masks import masks_across_layers
from pupila_prune.synflow import synaptic_flow, synflow_masks
from pupila_prune.weight_saliency import magnitude

keras = keras_files.import_keras()
layers, ops = keras.layers, keras.ops


def net(body, side=12, classes=2):
    keras.utils.set_random_seed(0)
    return functional(
        lambda image: layers.Dense(classes, name="answer")(layers.Flatten()(body(image))),
        side,
        side,
    )


def chain(*made):
    def body(x):
        for layer in made:
            x = layer(x)
        return x

    return body


def conv(filters, size=3, **settings):
    return layers.Conv2D(filters, size, padding="same", **settings)


def sums_of(model):
    kernels = kernels_of(model)
    weights = [np.abs(kernel.values).astype(np.float64) for kernel in kernels]
    return [scores.sum() for scores in synaptic_flow(model, kernels)(weights)]


def deep(x):
    for filters in (4, 64, 64, 64, 64, 8):
        x = layers.ReLU()(layers.BatchNormalization()(conv(filters)(x)))
    return x


CHAINS = [
    ("convolutions", chain(conv(4, activation="relu"), conv(8, strides=2))),
    ("normalisation and biases", deep),
    ("a picture that is scaled", chain(layers.Rescaling(1 / 127.5, offset=-1), conv(4))),
    ("saturating activations", chain(conv(4, activation="relu6"), conv(4, activation="sigmoid"))),
    ("pooling and padding", chain(conv(4), layers.MaxPooling2D(), layers.ZeroPadding2D(), conv(2))),
    ("depthwise and separable", chain(layers.DepthwiseConv2D(3), layers.SeparableConv2D(5, 3))),
    ("groups", chain(conv(4), conv(6, groups=2))),
    ("dilation", chain(conv(4), conv(6, dilation_rate=2))),
    ("transposition", chain(conv(4), layers.Conv2DTranspose(3, 3, 2))),
    ("dropout and softmax", chain(conv(4), layers.Dropout(0.5), layers.Softmax(), conv(4))),
    ("numbers in the graph", lambda x: conv(3)(-3 * conv(4)(x / 255 - 0.5) + 1)),
]


@pytest.mark.parametrize("body", [case[1] for case in CHAINS], ids=[case[0] for case in CHAINS])
def test_the_flow_through_all_layers_of_a_chain_is_the_same(body):
    model = net(body)
    for layer in model.layers:
        for weight in layer.weights:
            if weight.name in ("bias", "beta", "moving_mean"):
                weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    sums = sums_of(model)
    assert len(sums) >= 2 and sums[0] > 0
    np.testing.assert_allclose(sums, sums[0], rtol=1e-9)


def test_the_flow_through_branches_adds_up():
    left, right = conv(4, name="left"), conv(8, name="right")
    model = net(lambda x: layers.Concatenate()([left(x), right(x)]))
    of_left, of_right, of_answer = sums_of(model)
    assert of_left + of_right == pytest.approx(of_answer, rel=1e-9)


def test_flow_takes_both_branches_of_a_product():
    def gated(x):
        x = conv(4, name="main")(x)
        gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
        return layers.Multiply()([x, conv(4, 1, activation="sigmoid", name="gate")(gate)])

    main, gate, answer = sums_of(net(gated))
    assert 0 < gate < main == pytest.approx(answer, rel=1e-9)


def test_the_score_of_a_weight_is_the_sum_of_the_paths_through_it():
    given = keras.Input((2,))
    hidden = layers.Dense(2, use_bias=False, name="first")(given)
    model = keras.Model(given, layers.Dense(1, name="second")(layers.ReLU()(hidden)))
    model.get_layer("first").kernel.assign([[1.0, -2.0], [3.0, 4.0]])
    model.get_layer("second").kernel.assign([[-5.0], [6.0]])
    kernels = kernels_of(model)
    first, second = synaptic_flow(model, kernels)(
        [np.abs(kernel.values) * 1.0 for kernel in kernels]
    )
    assert first.tolist() == [[5, 12], [15, 24]]
    assert second.tolist() == [[20], [36]]


@pytest.mark.parametrize("sparsity", [0.9, 0.99, 0.998])
def test_no_layer_is_cut_off_where_global_magnitude_cuts_one_off(sparsity):
    model = net(deep)
    kernels = kernels_of(model)
    kept = synflow_masks(model, kernels, sparsity)
    total = sum(mask.size for mask in kept)
    assert sum(mask.sum() for mask in kept) == pytest.approx((1 - sparsity) * total, abs=1)
    assert all(mask.any() for mask in kept)
    weights = [np.abs(k.values) * m.astype(float) for k, m in zip(kernels, kept, strict=True)]
    assert all(s.sum() > 0 for s in synaptic_flow(model, kernels)(weights))
    if sparsity == 0.998:
        assert not all(mask.any() for mask in masks_across_layers(magnitude(kernels), sparsity))


def test_zeros_stay_cut():
    model = net(deep)
    kernels = kernels_of(model)
    for kernel, keep in zip(kernels, synflow_masks(model, kernels, 0.5), strict=True):
        kernel.variable.assign(kernel.values * keep)
    for kernel, keep in zip(kernels, synflow_masks(model, kernels, 0.8), strict=True):
        assert not keep[kernel.values == 0].any()


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        "MobileNetV2",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in (
                "DenseNet121",
                "EfficientNetB0",
                "InceptionV3",
                "MobileNetV3Small",
                "ResNet50",
                "VGG16",
            )
        ),
    ],
)
def test_deep_nets_neither_overflow_nor_are_refused(name):
    side = 75 if name == "InceptionV3" else 32
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(side, side, 3), classes=2, classifier_activation=None)
    assert all(0 < total < 1e200 for total in sums_of(model))


def test_an_unsupported_layer_is_refused_by_name():
    model = net(chain(conv(4), layers.LayerNormalization(name="by_layer")))
    with pytest.raises(PupilaError, match=r"'by_layer' is a LayerNormalization, .*prune-magnitude"):
        sums_of(model)


def test_a_net_through_which_nothing_flows_is_refused():
    model = net(conv(4, kernel_initializer="zeros"))
    with pytest.raises(PupilaError, match=r"flow through the model .* is 0\.0"):
        sums_of(model)
