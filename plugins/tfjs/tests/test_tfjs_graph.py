from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pupila_tfjs.graph import flatten_biases, separate_sums


def weight(model_json: Path, name: str) -> dict[str, Any]:
    (group,) = json.loads(model_json.read_text())["weightsManifest"]
    (weight,) = (entry for entry in group["weights"] if entry["name"] == name)
    return weight


def test_a_bias_of_rank_4_becomes_one_of_rank_1(wide_bias_model: Path):
    model_json = wide_bias_model / "model.json"
    assert weight(model_json, "bias")["shape"] == [1, 1, 1, 2]
    assert flatten_biases(model_json) == 1
    assert weight(model_json, "bias")["shape"] == [2]
    assert weight(model_json, "kernel")["shape"] == [1, 1, 3, 2]


def test_the_topology_states_the_same_shape(wide_bias_model: Path):
    model_json = wide_bias_model / "model.json"
    flatten_biases(model_json)
    nodes = json.loads(model_json.read_text())["modelTopology"]["node"]
    (bias,) = (node for node in nodes if node["name"] == "bias")
    assert bias["attr"]["value"]["tensor"]["tensorShape"] == {"dim": [{"size": "2"}]}


def test_flattening_twice_changes_nothing_more(wide_bias_model: Path):
    model_json = wide_bias_model / "model.json"
    flatten_biases(model_json)
    once = model_json.read_text()
    assert flatten_biases(model_json) == 0
    assert model_json.read_text() == once


def test_a_model_without_convolutions_is_left_as_it_was(mean_colour_model: Path):
    model_json = mean_colour_model / "model.json"
    before = json.loads(model_json.read_text())
    assert flatten_biases(model_json) == 0
    assert json.loads(model_json.read_text()) == before


def test_a_constant_bias_stays_in_its_convolution(wide_bias_model: Path):
    model_json = wide_bias_model / "model.json"
    before = json.loads(model_json.read_text())
    assert separate_sums(model_json) == 0
    assert json.loads(model_json.read_text()) == before
