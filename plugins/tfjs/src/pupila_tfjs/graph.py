"""What the converter's graph needs before every TF.js backend can run it."""

from __future__ import annotations

import json
from base64 import b64decode
from operator import itemgetter
from pathlib import Path
from typing import Any

_BIAS = 2
"""Position of the bias among a fused convolution's inputs, after the image and the kernel."""
_PLAIN = {"_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}
_OF_CONVOLUTIONS = frozenset({"T", "strides", "dilations", "padding", "data_format"})
_ACTIVATIONS = frozenset({"Relu", "Relu6", "Elu"})
"""Those that are an operator of the same name and need nothing else."""


def flatten_biases(model_json: Path) -> int:
    """Give every fused convolution a bias of rank 1; return how many constants had another.

    `BatchNormalization(axis=3)`, as in all of `keras.applications`, reshapes its constants to
    `(1, 1, 1, channels)`; folded into a convolution they become its bias. The WebAssembly backend
    refuses that ("FusedConv2D only supports rank-1 bias but got rank 4"). The values stay where
    they are, and so does every other use of them: `(channels,)` broadcasts in the same way.

    A `Squeeze` before the convolution does not help: the backend looks at the shape that the
    constant was loaded with.
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
    """Take fused convolutions that add a feature map apart again; return how many there were.

    The converter makes a bias of whatever is added to a convolution that has none. In a residual
    net whose batch normalisation shifts nothing, as before any training, that is the shortcut, and
    the WebAssembly backend refuses a map in a bias' place. Such a convolution becomes one without a
    bias, a sum, and the activation, which bears the name that others know.
    """
    model = json.loads(model_json.read_text())
    nodes: list[dict[str, Any]] = model["modelTopology"]["node"]
    constants = {node["name"] for node in nodes if node["op"] == "Const"}
    apart = [_apart(node) if _adds_a_map(node, constants) else [node] for node in nodes]
    model["modelTopology"]["node"] = [node for parts in apart for node in parts]
    model_json.write_text(json.dumps(model, separators=(",", ":")))
    return sum(len(parts) > 1 for parts in apart)


def sort_nodes(model_json: Path) -> None:
    """Put nodes in order of name, and what is said of each.

    The converter writes them in another order each time, so that one model would be two artifacts;
    TF.js finds its own order to compute in.
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
    """Return what a fused convolution does after it convolved, in order."""
    return [b64decode(name).decode() for name in node["attr"]["fused_ops"]["list"]["s"]]


def _apart(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the operators that a fused convolution stands for; the last one has its name."""
    name, kind = node["name"], {"T": node["attr"]["T"]}
    kept = {key: value for key, value in node["attr"].items() if key in _OF_CONVOLUTIONS}
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


def _bias(node: dict[str, Any]) -> str | None:
    """Return the name of a fused convolution's bias, None for any other node."""
    inputs = node.get("input", [])
    fused = node["op"] in _PLAIN and len(inputs) > _BIAS
    return inputs[_BIAS] if fused else None


def _flatten_constants(nodes: list[dict[str, Any]], names: set[str]) -> None:
    """Repeat the new shapes where the topology states them too."""
    for node in nodes:
        if node["name"] in names:
            shape = node["attr"]["value"]["tensor"]["tensorShape"]
            shape["dim"] = shape["dim"][-1:]
