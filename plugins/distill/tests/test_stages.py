from __future__ import annotations

import numpy as np
import pytest

from pupila import InputContract, OutputContract, PupilaError, installed, keras_files
from pupila.artifact import Origin
from pupila.store import Store
from pupila_distill.stages import flatten, keras, size_of, with_stages

layers = keras.layers


def pictures(height=32, width=32, images=3):
    return np.random.default_rng(0).integers(0, 256, (images, height, width, 3)).astype(np.float32)


def functional(body, height=32, width=32, name=None):
    image = keras.Input((height, width, 3))
    return keras.Model(image, body(image), name=name)


def backbone(name="backbone"):
    """Two convolutions and what comes with them, as a model to be put into another."""

    def body(x):
        x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(x)
        x = layers.BatchNormalization(name="norm")(x)
        x = keras.Sequential(
            [keras.Input((16, 16, 4)), layers.DepthwiseConv2D(3, 2, name="depthwise")], name="inner"
        )(x)
        return keras.ops.relu(x)

    return functional(body, name=name)


def outer_functional():
    def body(image):
        x = layers.Rescaling(1 / 255, name="scale")(image)
        x = backbone()(x, training=False)
        x = layers.Conv2D(6, 3, name="conv")(x)
        return layers.Dense(2, name="answer")(layers.GlobalAveragePooling2D(name="pool")(x))

    return functional(body)


def outer_sequential():
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            backbone(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, name="answer"),
        ]
    )


def twice_called():
    """One backbone seen from two sides, and a second of the same names."""
    shared, other = backbone("first"), backbone("second")

    def body(image):
        turned = keras.ops.flip(image, axis=2)
        maps = [shared(image), shared(turned), other(image)]
        return layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Concatenate()(maps)))

    return functional(body)


NESTED = [outer_functional, outer_sequential, twice_called, backbone]


@pytest.mark.parametrize("build", NESTED)
def test_a_flat_model_answers_as_the_nested_one_does(build):
    keras.utils.set_random_seed(0)
    model = build()
    before = np.asarray(model(pictures()))
    flat = flatten(model)
    assert np.ptp(before, axis=0).max() > 1e-3
    np.testing.assert_allclose(np.asarray(flat(pictures())), before, atol=1e-6)
    np.testing.assert_allclose(np.asarray(model(pictures())), before, atol=1e-6)
    in_training = np.asarray(model(pictures(), training=True))
    np.testing.assert_allclose(np.asarray(flat(pictures(), training=True)), in_training, atol=1e-5)


@pytest.mark.parametrize("build", NESTED)
def test_a_flat_model_has_no_model_inside_and_no_name_twice(build):
    model = build()
    flat = flatten(model)
    assert not [each for each in flat.layers if isinstance(each, keras.Model)]
    names = [each.name for each in flat.operations]
    assert len(set(names)) == len(names)
    assert flat.input_shape == model.input_shape
    assert flat.count_params() == model.count_params()


def test_of_two_layers_with_one_name_the_later_is_renamed_after_its_model():
    model = outer_functional()
    flat = flatten(model)
    assert flat.get_layer("conv").filters == 4
    assert flat.get_layer(f"{model.name}_conv").filters == 6


def test_a_flat_model_shares_its_weights_with_the_nested_one():
    model = outer_functional()
    flat = flatten(model)
    ours, theirs = ({id(each) for each in one.variables} for one in (flat, model))
    assert ours == theirs
    flat.get_layer("answer").bias.assign([5.0, -5.0])
    np.testing.assert_allclose(np.asarray(model(pictures())), np.asarray(flat(pictures())))


def test_a_flat_model_is_saved_and_read_again(tmp_path):
    flat = flatten(outer_functional())
    keras_files.save(flat, tmp_path)
    again = keras.saving.load_model(tmp_path / keras_files.MODEL_NAME)
    np.testing.assert_allclose(np.asarray(again(pictures())), np.asarray(flat(pictures())))


def test_layers_keep_what_their_model_was_called_with():
    flat = flatten(outer_functional())
    (called,) = (
        node["kwargs"]
        for layer in flat.get_config()["layers"]
        if layer["name"] == "norm"
        for node in layer["inbound_nodes"]
    )
    assert called["training"] is False


def test_a_flat_model_is_flattened_again_to_the_same():
    flat = flatten(outer_sequential())
    again = flatten(flat)
    assert [each.name for each in again.operations] == [each.name for each in flat.operations]


class Opaque(keras.Model):
    def call(self, inputs):
        return inputs


def test_a_model_that_is_no_graph_is_refused():
    with pytest.raises(PupilaError, match="'secret' is a Opaque, whose layers cannot be told"):
        flatten(Opaque(name="secret"))


# Stages -----------------------------------------------------------------------------------------


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
    ("body", "shapes"), [each[1:] for each in SHAPES], ids=[e[0] for e in SHAPES]
)
def test_the_last_map_before_each_halving_stands_for_a_stage(body, shapes):
    model = functional(body)
    answer, *found = with_stages(model).outputs
    assert [each.shape[1:] for each in found] == shapes
    assert answer.shape == model.output_shape


def test_a_picture_that_is_not_square_has_stages_as_well():
    found = with_stages(functional(chain(conv(2, 2), conv(3, 2)), 32, 48)).outputs[1:]
    assert [size_of(each) for each in found] == [(16, 24), (8, 12)]


def test_stages_of_a_nested_model_are_computed_from_its_picture():
    model = outer_functional()
    given = with_stages(model)(pictures())
    assert [size_of(each) for each in given[1:]] == [(16, 16), (5, 5)]
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
        ("conv-32-64-8", 128, [126, 61, 30]),
        ("mobile-xs", 32, [16, 8, 4, 2]),
        ("conv-32-64-8", 32, [30, 13, 6]),
    ],
)
def test_the_students_have_the_stages_that_they_are_drawn_with(name, side, sizes):
    model = installed().student(name).load()(InputContract(height=side, width=side), 2)
    found = with_stages(model).outputs[1:]
    assert [size_of(each) for each in found] == [(each, each) for each in sizes]


# Real teachers ----------------------------------------------------------------------------------

TEACHERS = [
    ("squeezenet.keras", [111, 55, 27, 13]),
    ("efficientnet_lite0.keras", [112, 56, 28, 14, 7]),
    ("xception_nested.keras", [109, 55, 28, 14, 7]),
    ("vgg16_nested.h5", [224, 112, 56, 28, 14, 7]),
]


def imported(source, folder):
    loader, store = installed().loader(source), Store(folder)
    output = OutputContract(kind="softmax", classes=("glaucoma", "normal"))
    with store.draft() as draft:
        product = loader.load()(source, output, draft)
        origin = Origin(plugin=loader.name, distribution="test", version="0")
        return store.add(draft, origin=origin, **vars(product))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sizes"), TEACHERS)
def test_a_real_teacher_is_flattened_exactly(name, sizes, shared_teachers, tmp_path):
    model = keras_files.load(imported(shared_teachers / name, tmp_path))
    flat = flatten(model)
    images = pictures(224, 224, 2)
    np.testing.assert_allclose(np.asarray(flat(images)), np.asarray(model(images)), atol=1e-5)
    assert not [each for each in flat.layers if isinstance(each, keras.Model)]
    assert [size_of(each)[0] for each in with_stages(model).outputs[1:]] == sizes
