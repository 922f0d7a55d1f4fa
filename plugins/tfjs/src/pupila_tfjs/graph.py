"""Changes the converter's graph so that every TF.js backend can run it."""

from __future__ import annotations

import json
from base64 import b64decode
from operator import itemgetter
from pathlib import Path
from typing import Any

_BIAS = 2
"""Index of the bias among a fused convolution's inputs, after the image and the kernel."""
_PLAIN = {"_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}
_CONVOLUTION_ATTRIBUTES = frozenset({"T", "strides", "dilations", "padding", "data_format"})
_ACTIVATIONS = frozenset({"Relu", "Relu6", "Elu"})
"""Fused activations that also exist as operators of the same name, without further attributes."""


def flatten_biases(model_json: Path) -> int:
    """Give every fused convolution a bias of rank 1; return the number of changed constants.

    `BatchNormalization(axis=3)`, as in all of `keras.applications`, reshapes its constants to
    `(1, 1, 1, channels)`. When the normalisation is folded into a convolution, one of these
    constants becomes the convolution's bias. The WebAssembly backend refuses a bias of this shape
    ("FusedConv2D only supports rank-1 bias but got rank 4"). Here the shape becomes `(channels,)`.
    Other uses of the constant stay valid, as this shape broadcasts in the same way.

    Inserting a `Squeeze` would not help: the backend uses the shape with which the constant was
    loaded.
    """
    model = json.loads(model_json.read_text())
    nodes: list[dict[str, Any]] = model["modelTopology"]["node"]
    biases = {bias for node in nodes if (bias := _bias(node))}
    weights = [weight for group in model["weightsManifest"] for weight in group["weights"]]
    wide = [w for w in weights if w["name"] in biases and len(w["shape"]) > 1]
    for weight in wide:
        weight["shape"] = weight["shape"][-1:]
    _flatten_constants(nodes, {weight["name"] for weight in wide})
    model_json.write_text(json.dumps(model, separators=(",", ":")))
    return len(wide)


def separate_sums(model_json: Path) -> int:
    """Split fused convolutions whose bias is a feature map; return how many were split.

    If a tensor is added to the output of a convolution without a bias, the converter makes this
    tensor the bias. In an untrained residual network, batch normalisation has no offset, so a
    convolution has no bias, and the feature map of the shortcut becomes the bias. The WebAssembly
    backend refuses a feature map as a bias. So this function replaces the fused convolution by a
    convolution without a bias, a sum, and the activation. The last of these nodes keeps the name of
    the fused convolution.
    """
    model = json.loads(model_json.read_text())
    nodes: list[dict[str, Any]] = model["modelTopology"]["node"]
    constants = {node["name"] for node in nodes if node["op"] == "Const"}
    split = [_split(node) if _adds_a_map(node, constants) else [node] for node in nodes]
    model["modelTopology"]["node"] = [node for parts in split for node in parts]
    model_json.write_text(json.dumps(model, separators=(",", ":")))
    return sum(len(parts) > 1 for parts in split)


def replace_complements(model_json: Path) -> int:
    """Write erfc(x), which TF.js lacks, as 1 - erf(x); return how many were replaced.

    Every exact GELU has one: 0.5 · x · erfc(-x / √2). The difference keeps the operator's name.
    """
    model = json.loads(model_json.read_text())
    nodes: list[dict[str, Any]] = model["modelTopology"]["node"]
    written = [_complement(node) if node["op"] == "Erfc" else [node] for node in nodes]
    model["modelTopology"]["node"] = [node for parts in written for node in parts]
    model_json.write_text(json.dumps(model, separators=(",", ":")))
    return sum(len(parts) > 1 for parts in written)


def sort_nodes(model_json: Path) -> None:
    """Sort the graph's nodes by name, and also the attributes of each node.

    The converter writes nodes and attributes in a different order each time, which would change the
    artifact's digest. TF.js determines the order of computation itself.
    """
    model = json.loads(model_json.read_text())
    model["modelTopology"]["node"].sort(key=itemgetter("name"))
    model_json.write_text(json.dumps(model, separators=(",", ":"), sort_keys=True))


def _adds_a_map(node: dict[str, Any], constants: set[str]) -> bool:
    bias = _bias(node)
    if bias is None or bias in constants:
        return False
    return set(_fused(node)) <= {"BiasAdd", *_ACTIVATIONS}


def _fused(node: dict[str, Any]) -> list[str]:
    """Return the operations that a fused convolution applies after convolving, in order."""
    return [b64decode(name).decode() for name in node["attr"]["fused_ops"]["list"]["s"]]


def _split(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the operators that replace a fused convolution; the last one keeps its name."""
    name, kind = node["name"], {"T": node["attr"]["T"]}
    kept = {key: value for key, value in node["attr"].items() if key in _CONVOLUTION_ATTRIBUTES}
    image, kernel, added = node["input"][: _BIAS + 1]
    parts = [{"op": _PLAIN[node["op"]], "input": [image, kernel], "attr": kept}]
    parts += [{"op": "AddV2", "input": [f"{name}/part_0", added], "attr": kind}]
    for number, activation in enumerate(_fused(node)[1:], start=1):
        parts += [{"op": activation, "input": [f"{name}/part_{number}"], "attr": kind}]
    last = len(parts) - 1
    return [
        part | {"name": f"{name}/part_{number}" if number < last else name}
        for number, part in enumerate(parts)
    ]


def _complement(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the operators that replace an erfc; the last one keeps its name."""
    name, attributes = node["name"], {"T": node["attr"]["T"]}
    one = {"name": f"{name}/one", "op": "OnesLike", "input": node["input"], "attr": attributes}
    erf = {"name": f"{name}/erf", "op": "Erf", "input": node["input"], "attr": attributes}
    operands = [one["name"], erf["name"]]
    return [one, erf, {"name": name, "op": "Sub", "input": operands, "attr": attributes}]


def _bias(node: dict[str, Any]) -> str | None:
    """Return the name of a fused convolution's bias; None for any other node."""
    inputs = node.get("input", [])
    fused = node["op"] in _PLAIN and len(inputs) > _BIAS
    return inputs[_BIAS] if fused else None


def _flatten_constants(nodes: list[dict[str, Any]], names: set[str]) -> None:
    """Write the flattened shapes of the constants `names` into the graph's nodes too."""
    for node in nodes:
        if node["name"] in names:
            shape = node["attr"]["value"]["tensor"]["tensorShape"]
            shape["dim"] = shape["dim"][-1:]
