"""Which channels are tied, and that a thinner model answers like one with zeroed channels."""

from __future__ import annotations

import numpy as np
import pytest

from pupila import OutputSpec, PupilaError, installed, keras_files
from pupila.artifact import Origin
from pupila.keras_graphs import flatten
from pupila.store import Store
from pupila.testing.attention import attention_model
from pupila_prune.channels import FIXED, kept_entries
from pupila_prune.graph import channels_of
from pupila_prune.rebuild import keep_all, rebuild
from pupila_prune.selection import choose, min_filters

keras = keras_files.import_keras()
layers, ops = keras.layers, keras.ops


def pictures(side, images=4):
    random = np.random.default_rng(0)
    return random.uniform(0, 255, (images, side, side, 3)).astype(np.float32)


def functional(body, classes=2, side=16):
    image = keras.Input((side, side, 3))
    x = body(layers.Rescaling(1 / 127.5, -1, name="scale")(image))
    if len(x.shape) == 4:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x))


def conv(filters, name=None, size=3, **settings):
    return layers.Conv2D(filters, size, padding="same", name=name, **settings)


def chain(*made):
    def body(x):
        for layer in made:
            x = layer(x)
        return x

    return body


def plain(x):
    return conv(6)(layers.ReLU()(layers.BatchNormalization()(conv(4, use_bias=False)(x))))


def residual(x):
    x = conv(4)(x)
    return layers.Add()([x, conv(4, activation="relu")(x)])


def concatenated(x):
    return conv(2)(layers.Concatenate()([conv(3)(x), conv(5)(x)]))


def concatenated_and_added(x):
    return layers.Add()([layers.Concatenate()([conv(2)(x), conv(3)(x)]), conv(5)(x)])


def squeezed(x):
    x = conv(4)(x)
    gate = layers.Reshape((1, 1, 4))(layers.GlobalAveragePooling2D()(x))
    gate = chain(conv(2, size=1, activation="relu"), conv(4, size=1, activation="sigmoid"))(gate)
    return conv(3)(layers.Multiply()([x, gate]))


def shared(x):
    both = conv(5)
    return layers.Add()([both(conv(4)(x)), both(conv(4)(x))])


def shared_activation(x):
    relu = layers.ReLU()
    return relu(conv(5)(relu(conv(4)(x))))


def spatial_attention(x):
    return layers.Multiply()([conv(4)(x), conv(1, activation="sigmoid")(x)])


def everything(x):
    """Concatenation, residuals, squeeze and excitation, depthwise and separable in one net."""
    x = chain(conv(12, strides=2), layers.BatchNormalization(), layers.ReLU())(x)
    x = layers.Concatenate()([x, layers.SeparableConv2D(8, 3, padding="same")(x)])
    x = chain(layers.BatchNormalization(), conv(16), layers.PReLU(shared_axes=[1, 2]))(x)
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same", activation="silu")(x)])
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = chain(conv(6, size=1, activation="relu"), conv(16, size=1))(gate)
    x = x * ops.sigmoid(gate)
    x = chain(layers.MaxPooling2D(), layers.ZeroPadding2D(), layers.Flatten())(x)
    return chain(layers.Dense(20, activation="relu"), layers.BatchNormalization())(x)


CASES = [
    ("a chain", plain, 10, ()),
    ("a residual", residual, 4, ()),
    ("a concatenation", concatenated, 10, ()),
    ("a sum of concatenations", concatenated_and_added, 5, ()),
    ("squeeze and excitation", squeezed, 9, ()),
    ("a depthwise convolution", chain(conv(4), layers.DepthwiseConv2D(3)), 4, ()),
    (
        "a depthwise convolution that doubles",
        chain(conv(4), layers.DepthwiseConv2D(3, depth_multiplier=2)),
        4,
        (),
    ),
    (
        "a separable convolution",
        chain(conv(4), layers.SeparableConv2D(5, 3, depth_multiplier=2)),
        9,
        (),
    ),
    ("flattening", chain(conv(4), layers.Flatten(), layers.Dense(3)), 7, ()),
    ("a shared layer", shared, 9, ()),
    ("a shared activation", shared_activation, 9, ()),
    ("a factor for each position", spatial_attention, 4, ()),
    ("operations", lambda x: ops.relu(conv(4)(x) + 2 * conv(4)(x)), 4, ()),
    ("all at once", everything, 12 + 8 + 16 + 6 + 20, ()),
    ("groups", chain(conv(4), conv(6, "grouped", groups=2), conv(3)), 3, ("grouped",)),
    (
        "a normalisation by layer",
        chain(conv(3), conv(4), layers.LayerNormalization(name="by_layer")),
        3,
        ("by_layer",),
    ),
    (
        "a softmax between",
        chain(conv(4), layers.Softmax(name="shares"), conv(3)),
        3,
        ("shares",),
    ),
    ("channels first", chain(conv(4), layers.Flatten("channels_first", name="turned")), 0, None),
]


@pytest.mark.parametrize(
    ("body", "units", "untouched"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_tied_channels_are_one_unit(body, units, untouched):
    channels = channels_of(functional(body))
    assert channels.count == units
    assert channels.untouched == (("turned",) if untouched is None else untouched)


def test_the_colours_and_the_classes_are_never_cut():
    channels = channels_of(functional(chain(conv(4, "first"))))
    places = {(axis.layer, axis.weight, axis.number): axis.units for axis in channels.axes}
    assert (places["first", "kernel", 2] == FIXED).all()
    assert (places["logits", "kernel", 1] == FIXED).all()
    assert (places["logits", "kernel", 0] == places["first", "kernel", 3]).all()


def test_a_unit_costs_what_is_saved_when_it_alone_is_cut():
    channels = channels_of(functional(everything))
    total = channels.parameters(keep_all(channels))
    for unit, cost in enumerate(channels.costs()):
        keep = keep_all(channels)
        keep[unit] = False
        assert total - channels.parameters(keep) == pytest.approx(cost)


def test_a_cut_ends_at_its_target_and_keeps_the_minimum_of_each_layer():
    channels = channels_of(functional(everything))
    scores, total = np.random.default_rng(0).random(channels.count), sum(channels.sizes.values())
    minimum = min_filters(channels, 0.3)
    keep = choose(channels, scores, 0.6 * total, minimum)
    assert 0.55 * total < channels.parameters(keep) <= 0.6 * total
    assert scores[~keep].max() < np.quantile(scores, 0.9)
    keep = choose(channels, scores, 0, minimum)
    for axis in channels.filters:
        assert len(kept_entries(axis.units, keep)) == max(
            minimum[axis.layer], (axis.units == FIXED).sum()
        )


class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x


def test_a_custom_layer_is_refused_by_name():
    with pytest.raises(PupilaError, match="'mine' is a Doubled"):
        channels_of(functional(chain(conv(4), Doubled(name="mine"))))


# Equal answers ----------------------------------------------------------------------------------


def application(name, side, *marks):
    def build():
        built = getattr(keras.applications, name)
        return built(
            weights=None, input_shape=(side, side, 3), classes=3, classifier_activation=None
        )

    return pytest.param(build, side, id=name, marks=marks)


MODELS = [
    *(
        pytest.param(lambda body=body: functional(body), 16, id=name)
        for name, body, units, _ in CASES
        if units
    ),
    *(
        pytest.param(lambda kind=kind: flatten(attention_model(kind)), 32, id=kind)
        for kind in ("transformer", "hybrid")
    ),
    application("VGG16", 32),
    application("ResNet50", 32),
    application("MobileNetV2", 32),
    application("Xception", 71, pytest.mark.long),
    application("InceptionV3", 75, pytest.mark.long),
    application("DenseNet121", 32, pytest.mark.long),
    application("EfficientNetB0", 32, pytest.mark.long),
    application("MobileNetV3Small", 32, pytest.mark.long),
    application("NASNetMobile", 32, pytest.mark.long),
]


def draw_weights(model, images):
    """Draw weights at which signals neither vanish nor explode, and random statistics."""
    random = np.random.default_rng(0)
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    for layer in model.layers:
        for weight in layer.weights:
            if weight.name in ("beta", "bias"):
                weight.assign(random.normal(0, 0.2, weight.shape))
            elif weight.name == "gamma":
                weight.assign(random.uniform(0.7, 1.3, weight.shape))
            elif "kernel" in weight.name:
                entries = np.prod(weight.shape[:-1])
                if "depthwise" in weight.path:
                    entries = np.prod(weight.shape[:2])
                weight.assign(random.normal(0, np.sqrt(2 / entries), weight.shape))
    for layer in norms:
        layer.momentum = 0.0
    model(images, training=True)
    for layer in norms:
        layer.moving_variance.assign(
            layer.moving_variance * random.uniform(0.7, 1.3, layer.moving_variance.shape) + 0.01
        )
    return model


def zero_channels(model, channels, keep):
    """Set the weights that make or alter cut channels to zero, not those that read them."""
    for axis in channels.axes:
        if axis.role != "reads":
            layer = model.get_layer(axis.layer)
            (weight,) = (candidate for candidate in layer.weights if candidate.name == axis.weight)
            shape = [1] * len(weight.shape)
            shape[axis.number] = -1
            kept = np.zeros(len(axis.units))
            kept[kept_entries(axis.units, keep)] = 1
            weight.assign(np.asarray(weight) * kept.reshape(shape))
    return model


def check_equal_answers(model, images, atol=1e-5):
    channels = channels_of(model)
    answers = np.asarray(model(images))
    scale = max(1.0, np.abs(answers).max())
    same = rebuild(model, channels, keep_all(channels))
    np.testing.assert_allclose(np.asarray(same(images)), answers, rtol=0, atol=atol * scale)
    scores, total = np.random.default_rng(1).random(channels.count), model.count_params()
    keep = choose(channels, scores, 0.7 * total, min_filters(channels, 0.3))
    thinner = rebuild(model, channels, keep)
    assert thinner.count_params() == channels.parameters(keep) < total
    assert all(layer.trainable for layer in thinner.layers)
    expected = np.asarray(zero_channels(model, channels, keep)(images))
    assert np.abs(expected - answers).max() > 100 * atol, "the cut changed nothing"
    np.testing.assert_allclose(np.asarray(thinner(images)), expected, rtol=0, atol=atol * scale)
    return thinner


@pytest.mark.parametrize(("build", "side"), MODELS)
def test_a_thinner_model_answers_as_one_whose_cut_channels_are_zero(build, side):
    images = pictures(side)
    check_equal_answers(draw_weights(build(), images), images)


def test_a_thinner_model_is_saved_and_read_again(tmp_path):
    images = pictures(16)
    thinner = check_equal_answers(draw_weights(functional(everything), images), images)
    keras_files.save(thinner, tmp_path)
    again = keras.saving.load_model(tmp_path / keras_files.MODEL_NAME, compile=False)
    np.testing.assert_allclose(np.asarray(again(images)), np.asarray(thinner(images)), atol=1e-6)


def test_frozen_layers_become_trainable_and_their_statistics_follow():
    model = functional(plain)
    model.trainable = False
    channels = channels_of(model)
    thinner = rebuild(model, channels, keep_all(channels))
    (norm,) = (layer for layer in thinner.layers if isinstance(layer, layers.BatchNormalization))
    assert len(thinner.trainable_weights) == len(thinner.weights) - 2
    assert norm.momentum == 0.9
    assert not model.trainable_weights


def test_the_model_that_is_cut_stays_as_it_is():
    images = pictures(16)
    model = draw_weights(functional(everything), images)
    before = [np.asarray(weight) for weight in model.weights]
    channels = channels_of(model)
    rebuild(
        model, channels, choose(channels, np.ones(channels.count), 0, min_filters(channels, 0.1))
    )
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, np.asarray(new))


# Real teachers ----------------------------------------------------------------------------------


def imported(source, folder):
    loader, store = installed().loader(source), Store(folder)
    output = OutputSpec(kind="softmax", classes=("glaucoma", "normal"))
    with store.draft() as draft:
        result = loader.load()(source, output, draft)
        origin = Origin(plugin=loader.name, distribution="test", version="0")
        return store.add(draft, origin=origin, **vars(result))


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    ["squeezenet.keras", "efficientnet_lite0.keras", "xception_nested.keras", "vgg16_nested.h5"],
)
def test_a_real_teacher_is_rebuilt_exactly(name, shared_teachers, tmp_path):
    model = flatten(keras_files.load(imported(shared_teachers / name, tmp_path)))
    assert channels_of(model).untouched == ()
    check_equal_answers(model, pictures(224, images=2))
