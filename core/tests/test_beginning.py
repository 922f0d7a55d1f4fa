"""Students that are the beginning of a teacher: where it is cut, how large, with which weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pupila import InputSpec, PupilaError
from pupila.keras_files import import_keras
from pupila.keras_graphs import Calls
from pupila.testing.nested import (
    functional,
    outer_functional,
    outer_sequential,
    pictures,
    twice_called,
)
from pupila.training.beginning import Cuts, deepest_fine_map
from pupila.training.classification import ClassificationTraining

keras = import_keras()
layers = keras.layers
TRAINING = ClassificationTraining(("ill", "well"))


class FineTraining(ClassificationTraining):
    """A task whose head needs a position for every two pixels."""

    largest_stride = 2


FINE = FineTraining(("ill", "well"))


def residual() -> Any:
    """Two stages; the second adds what it was given, and its normalisation is frozen."""

    def body(image: Any) -> Any:
        x = layers.Rescaling(1 / 255, name="scale")(image)
        x = layers.Conv2D(4, 3, strides=2, padding="same", name="stem")(x)
        x = layers.BatchNormalization(name="stem_norm", trainable=False)(x)
        shortcut = layers.ReLU(name="stem_relu")(x)
        x = layers.DepthwiseConv2D(3, padding="same", name="inner")(shortcut)
        x = layers.BatchNormalization(name="inner_norm")(x)
        x = layers.Add(name="add")([x, shortcut])
        x = layers.ZeroPadding2D(name="padding")(x)
        x = layers.Conv2D(8, 3, strides=2, name="last")(x)
        return layers.Dense(2, name="answer")(layers.GlobalAveragePooling2D(name="pool")(x))

    return functional(body, name="residual")


def fixed_size() -> Any:
    """It reshapes what it was given, and so reads one size only."""

    def body(image: Any) -> Any:
        x = layers.Reshape((32, 32, 3), name="reshape")(image)
        x = layers.Conv2D(4, 3, name="conv")(x)
        return layers.Dense(2)(layers.GlobalAveragePooling2D()(x))

    return functional(body, name="fixed")


def listed(model: Any) -> list[str]:
    """Return all layers that a model can be cut behind, as the message about a wrong one says."""
    with pytest.raises(PupilaError) as caught:
        Cuts(model, 8, TRAINING).behind("none of them")
    *_, names = str(caught.value).split("Cut it behind ")
    return [name.strip("'.") for name in names.split(" or ")]


def student(model: Any, layer: str, side: int = 32, head: int = 8, keep_norms: bool = True) -> Any:
    cuts = Cuts(model, head, TRAINING)
    spec = InputSpec(height=side, width=side)
    return cuts.student(cuts.behind(layer), spec, head, keep_norms=keep_norms)


@pytest.mark.parametrize(
    ("model", "cuts"),
    [
        (residual, ["stem", "stem_norm", "stem_relu", "add", "last"]),
        (outer_functional, ["conv", "norm", "depthwise", "relu", "conv"]),
        (outer_sequential, ["conv", "norm", "depthwise", "relu"]),
        (twice_called, ["concatenate"]),
    ],
)
def test_a_teacher_is_cut_where_one_feature_map_crosses(
    model: Callable[[], Any], cuts: list[str]
) -> None:
    """Keras numbers operations without a name, and the second of one name bears its model's."""
    for layer, cut in zip(listed(model()), cuts, strict=True):
        assert cut in layer


def behind(model: Any, layer: str) -> Any:
    """Return a model that gives what a layer of another gives."""
    calls = Calls(model)
    (given,) = (given for made, given in calls.made if made.name == layer)
    return keras.Model(calls.image, given)


@pytest.mark.parametrize(
    ("model", "layer"),
    [(residual, "add"), (outer_functional, "depthwise"), (twice_called, None)],
)
def test_a_beginning_gives_what_its_teacher_gives_there(
    model: Callable[[], Any], layer: str | None
) -> None:
    teacher = model()
    layer = layer or listed(teacher)[0]
    expected = behind(teacher, layer)(pictures())
    made = student(teacher, layer)
    np.testing.assert_allclose(behind(made, layer)(pictures()), expected, atol=1e-5)
    assert made.input_shape == (None, 32, 32, 3)
    assert made.output_shape == (None, 2)


@pytest.mark.parametrize(("model", "layer"), [(residual, "add"), (outer_functional, "norm")])
def test_a_beginning_reads_pictures_of_another_size(model: Callable[[], Any], layer: str) -> None:
    made = student(model(), layer, side=48)
    answers = np.asarray(made(pictures(48, 48)))
    assert answers.shape == (3, 2)
    assert np.ptp(answers, axis=0).min() > 0


def test_a_beginning_that_cannot_read_a_size_says_which_it_can() -> None:
    assert student(fixed_size(), "conv").output_shape == (None, 2)
    with pytest.raises(PupilaError, match="cannot read 48 x 48 px, only 32 x 32: leave `size` out"):
        student(fixed_size(), "conv", side=48)


def test_layers_that_make_views_in_training_are_left_out() -> None:
    def body(image: Any) -> Any:
        x = layers.RandomRotation(0.5, name="turn")(layers.RandomFlip(name="flip")(image))
        x = layers.Conv2D(4, 3, name="conv")(layers.RandomContrast(0.5, name="contrast")(x))
        return layers.Dense(2)(layers.GlobalAveragePooling2D()(x))

    made = student(functional(body), "conv")
    assert [layer.name for layer in made.layers[1:3]] == ["conv", "head"]
    seen = behind(made, "conv")
    np.testing.assert_array_equal(seen(pictures(), training=True), seen(pictures()))


@pytest.mark.parametrize("keep_norms", [True, False])
def test_all_layers_learn_but_kept_normalisation(keep_norms: bool) -> None:
    made = student(residual(), "last", head=0, keep_norms=keep_norms)
    before = {weight.path: np.array(weight) for weight in made.weights}
    made.compile("sgd", "mse", jit_compile=False)
    made.fit(pictures(), np.ones((3, 2)), verbose=0)
    moved = {
        weight.path: (np.array(weight) != before[weight.path]).any() for weight in made.weights
    }
    norms = {path for path in moved if "norm" in path}
    assert len(norms) == 8
    assert all(moved[path] != keep_norms for path in norms)
    assert all(moved[path] for path in moved.keys() - norms if "kernel" in path)


@pytest.mark.parametrize("keep_norms", [True, False])
def test_frozen_layers_stay_as_they_are(keep_norms: bool) -> None:
    cuts, spec = Cuts(residual(), 0, TRAINING), InputSpec(height=32, width=32)
    made = cuts.student(cuts.behind("last"), spec, 0, keep_norms=keep_norms, frozen="add")
    before = {weight.path: np.array(weight) for weight in made.weights}
    made.compile("sgd", "mse", jit_compile=False)
    made.fit(pictures(), np.ones((3, 2)), verbose=0)
    moved = {
        weight.path for weight in made.weights if (np.array(weight) != before[weight.path]).any()
    }
    assert {path.split("/")[0] for path in moved} == {"last", "logits"}


def test_a_layer_behind_the_cut_cannot_be_frozen() -> None:
    cuts, spec = Cuts(residual(), 0, TRAINING), InputSpec(height=32, width=32)
    with pytest.raises(PupilaError, match="no layer 'last' to be frozen up to"):
        cuts.student(cuts.behind("add"), spec, 0, keep_norms=True, frozen="last")


def test_a_deeper_beginning_takes_more_bytes_and_the_deepest_that_fits_is_taken() -> None:
    cuts = Cuts(residual(), 8, TRAINING)
    sizes = [cuts.behind(layer).size_bytes for layer in listed(residual())]
    assert sizes == sorted(sizes)
    assert cuts.within(sizes[-1]).layer == "last"
    assert cuts.within(sizes[-1] - 1).layer == "add"
    assert cuts.within(cuts.behind("add").size_bytes - 1).layer == "stem_relu"
    assert cuts.teacher_bytes < sizes[-1], "the head that was cut off has no convolution"
    with pytest.raises(PupilaError, match=r"up to 'stem', takes about [0-9,]+ bytes as int8, more"):
        cuts.within(100)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("adds", r"has no layer 'adds'\. Did you mean 'add'\? Cut it behind 'stem' or"),
        ("inner", "cannot be cut behind 'inner': what the rest of it reads is not one feature map"),
        ("pool", "cannot be cut behind 'pool'"),
        ("padding", "cannot be cut behind 'padding'"),
    ],
)
def test_where_a_teacher_cannot_be_cut_the_message_says_where_it_can(layer: str, said: str) -> None:
    with pytest.raises(PupilaError, match=said):
        Cuts(residual(), 8, TRAINING).behind(layer)


def test_a_teacher_without_feature_maps_has_no_beginning() -> None:
    flat = functional(lambda image: layers.Dense(2)(layers.Flatten()(image)), name="flat")
    with pytest.raises(
        PupilaError, match="no layer behind which the rest of it reads one feature map"
    ):
        Cuts(flat, 8, TRAINING)


def test_names_of_the_head_make_way_for_those_of_the_teacher() -> None:
    """A beginning can be the teacher of a shorter one, or of a longer."""
    first = student(residual(), "add")
    second = student(first, "head_relu6")
    names = [layer.name for layer in second.layers]
    assert len(set(names)) == len(names)
    assert "head_again" in names


# Fine maps -------------------------------------------------------------------------------------


def test_a_task_that_needs_a_fine_map_is_cut_no_deeper() -> None:
    cuts = Cuts(residual(), 8, FINE)
    assert cuts.within(10**9).layer == "add"
    with pytest.raises(
        PupilaError, match=r"'last': .* not one feature map with a position for eve"
    ):
        cuts.behind("last")
    coarse = functional(
        lambda image: layers.Dense(2)(
            layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, strides=4)(image))
        ),
        name="coarse",
    )
    with pytest.raises(PupilaError, match="one feature map only with a position for every 2 pix"):
        Cuts(coarse, 8, FINE)


@pytest.mark.parametrize(("stride", "deepest"), [(2, "add"), (4, "last"), (None, "last")])
def test_the_deepest_fine_map_of_an_architecture(stride: int | None, deepest: str) -> None:
    image, features = deepest_fine_map(residual(), stride)
    model = keras.Model(image, features)
    assert [layer.name for layer in model.layers if layer.weights or "add" in layer.name][
        -1
    ] == deepest


def test_an_architecture_without_a_fine_map_is_refused() -> None:
    flat = functional(lambda image: layers.Dense(2)(layers.Flatten()(image)), name="flat")
    with pytest.raises(PupilaError, match="no feature map with a position for every 8 pixels"):
        deepest_fine_map(flat, 8)


def test_a_model_that_ends_in_a_feature_map_is_not_cut_behind_it() -> None:
    def body(image: Any) -> Any:
        return layers.Conv2D(3, 1, name="heat")(layers.Conv2D(4, 3, name="conv")(image))

    assert Cuts(functional(body, name="locator"), 8, FINE).within(10**9).layer == "conv"
