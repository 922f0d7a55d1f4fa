# pyright: basic
# Keras has no types, and all that is tested here is Keras.
from __future__ import annotations

import numpy as np
import pytest

from pupila import PupilaError, keras_files
from pupila.keras_graphs import flatten, keras
from pupila.testing.nested import (
    backbone,
    outer_functional,
    outer_sequential,
    pictures,
    twice_called,
)

layers = keras.layers


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
def test_a_flat_model_has_no_nested_model_and_no_repeated_name(build):
    model = build()
    flat = flatten(model)
    assert not [layer for layer in flat.layers if isinstance(layer, keras.Model)]
    names = [operation.name for operation in flat.operations]
    assert len(set(names)) == len(names)
    assert flat.input_shape == model.input_shape
    assert flat.count_params() == model.count_params()


def test_the_later_of_two_layers_with_one_name_is_renamed_after_its_model():
    model = outer_functional()
    flat = flatten(model)
    assert flat.get_layer("conv").filters == 4
    assert flat.get_layer(f"{model.name}_conv").filters == 6


def test_a_flat_model_shares_its_weights_with_the_nested_one():
    model = outer_functional()
    flat = flatten(model)
    ours, theirs = ({id(variable) for variable in one.variables} for one in (flat, model))
    assert ours == theirs
    flat.get_layer("answer").bias.assign([5.0, -5.0])
    np.testing.assert_allclose(np.asarray(model(pictures())), np.asarray(flat(pictures())))


def test_a_flat_model_is_saved_and_read_again(tmp_path):
    flat = flatten(outer_functional())
    keras_files.save(flat, tmp_path)
    again = keras.saving.load_model(tmp_path / keras_files.MODEL_NAME)
    np.testing.assert_allclose(np.asarray(again(pictures())), np.asarray(flat(pictures())))


def test_layers_keep_the_arguments_of_their_models_call():
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
    assert [operation.name for operation in again.operations] == [
        operation.name for operation in flat.operations
    ]


class Opaque(keras.Model):
    def call(self, inputs):
        return inputs


def test_a_model_without_a_graph_is_refused():
    with pytest.raises(PupilaError, match="'secret' is a Opaque, which has no graph of layers"):
        flatten(Opaque(name="secret"))
