from __future__ import annotations

import numpy as np
import pytest

from pupila import InputSpec, installed
from pupila.keras_graphs import flatten
from pupila.testing.attention import attention_model
from pupila.testing.nested import (
    functional,
    outer_functional,
    pictures,
)
from pupila_distill.stages import keras, size_of, with_stages

layers = keras.layers


def conv(filters, strides=1, padding="same", size=3):
    return layers.Conv2D(filters, size, strides=strides, padding=padding)


def chain(*made):
    def body(x):
        for layer in made:
            x = layer(x)
        return x

    return body


def branched(x):
    """A reduction whose small branch is ready long before its large one."""
    x = conv(2)(x)
    small = chain(conv(3, 2), conv(3), conv(3), conv(3), conv(3))(x)
    large = chain(conv(5), conv(5), conv(5), conv(7), conv(4, 2))(x)
    return layers.Concatenate()([small, large])


def squeeze_and_excitation(x):
    x = conv(4, 2)(x)
    part = chain(layers.GlobalAveragePooling2D(keepdims=True), conv(2), conv(4))(x)
    return conv(8, 2)(layers.Multiply()([x, part]))


SHAPES = [
    (
        "halved by strides",
        chain(layers.Rescaling(1 / 255), conv(2, 2), conv(3), conv(4, 2), layers.ReLU()),
        [(16, 16, 3), (8, 8, 4)],
    ),
    (
        "halved by pooling",
        chain(conv(2), conv(3), layers.MaxPooling2D(), conv(4), layers.MaxPooling2D()),
        [(32, 32, 3), (16, 16, 4), (8, 8, 4)],
    ),
    (
        "without padding",
        chain(
            conv(2, padding="valid"),
            layers.MaxPooling2D(),
            conv(3, padding="valid"),
            conv(4, padding="valid"),
            layers.MaxPooling2D(),
        ),
        [(30, 30, 2), (11, 11, 4), (5, 5, 4)],
    ),
    (
        "padded beforehand",
        chain(
            layers.ZeroPadding2D(),
            conv(2, 2, "valid"),
            layers.ZeroPadding2D(),
            conv(3, 2, "valid"),
            layers.ReLU(),
        ),
        [(16, 16, 2), (8, 8, 3)],
    ),
    ("branched", branched, [(32, 32, 7), (16, 16, 7)]),
    ("with squeeze and excitation", squeeze_and_excitation, [(16, 16, 4), (8, 8, 8)]),
    (
        "with a head",
        chain(conv(2, 2), conv(3, 2), layers.GlobalAveragePooling2D(keepdims=True), conv(5)),
        [(16, 16, 2), (8, 8, 3)],
    ),
    ("without a convolution", chain(layers.AveragePooling2D(2), layers.Flatten()), []),
]


@pytest.mark.parametrize(
    ("body", "shapes"), [case[1:] for case in SHAPES], ids=[e[0] for e in SHAPES]
)
def test_the_last_map_before_each_halving_is_the_stage(body, shapes):
    model = functional(body)
    answer, *stages = with_stages(model).outputs
    assert [stage.shape[1:] for stage in stages] == shapes
    assert answer.shape == model.output_shape


def test_a_picture_that_is_not_square_has_stages_as_well():
    stages = with_stages(functional(chain(conv(2, 2), conv(3, 2)), 32, 48)).outputs[1:]
    assert [size_of(stage) for stage in stages] == [(16, 24), (8, 12)]


def test_stages_of_a_nested_model_are_computed_from_its_picture():
    model = outer_functional()
    given = with_stages(model)(pictures())
    assert [size_of(stage) for stage in given[1:]] == [(16, 16), (5, 5)]
    np.testing.assert_allclose(np.asarray(given[0]), np.asarray(model(pictures())), atol=1e-6)
    wanted = backbone_norm(model)(pictures())
    np.testing.assert_allclose(np.asarray(given[1]), np.asarray(wanted), atol=1e-6)


def backbone_norm(model):
    inner = model.get_layer("backbone")
    scaled = keras.Sequential([keras.Input((32, 32, 3)), layers.Rescaling(1 / 255)])
    norm = keras.Model(inner.inputs[0], inner.get_layer("norm").output)
    return lambda images: norm(scaled(images))


@pytest.mark.parametrize(
    ("name", "side", "sizes"),
    [
        ("mobile-xs", 128, [64, 32, 16, 8, 4]),
        ("mobile-s", 128, [64, 32, 16, 8, 4]),
        ("residual-m", 128, [64, 32, 16, 8, 4]),
        ("hybrid-s", 128, [64, 32, 16, 8]),
        ("conv-32-64-8", 128, [126, 61, 30]),
        ("mobile-xs", 32, [16, 8, 4, 2]),
        ("conv-32-64-8", 32, [30, 13, 6]),
    ],
)
def test_the_students_have_the_stages_that_they_are_drawn_with(name, side, sizes):
    model = installed().student(name).load()(InputSpec(height=side, width=side), 2)
    stages = with_stages(model).outputs[1:]
    assert [size_of(stage) for stage in stages] == [(stage, stage) for stage in sizes]


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [("transformer", [(4, 4)]), ("hybrid", [(8, 8)]), ("operations", [(4, 4)])],
)
def test_the_tensors_of_attention_are_not_taken_for_feature_maps(kind, sizes):
    stages = with_stages(attention_model(kind)).outputs[1:]
    assert [size_of(stage) for stage in stages] == sizes


# Real teachers ----------------------------------------------------------------------------------

TEACHERS = [
    ("squeezenet.keras", [111, 55, 27, 13]),
    ("efficientnet_lite0.keras", [112, 56, 28, 14, 7]),
    ("xception_nested.keras", [109, 55, 28, 14, 7]),
    ("vgg16_nested.h5", [224, 112, 56, 28, 14, 7]),
]


@pytest.mark.long
@pytest.mark.parametrize(("name", "sizes"), TEACHERS)
def test_a_real_teacher_is_flattened_exactly(name, sizes, real_teacher):
    model = real_teacher(name)
    flat = flatten(model)
    images = pictures(224, 224, 2)
    np.testing.assert_allclose(np.asarray(flat(images)), np.asarray(model(images)), atol=1e-5)
    assert not [layer for layer in flat.layers if isinstance(layer, keras.Model)]
    assert [size_of(stage)[0] for stage in with_stages(model).outputs[1:]] == sizes
