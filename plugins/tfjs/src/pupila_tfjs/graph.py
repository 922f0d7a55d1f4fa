"""What the converter's graph needs before every TF.js backend can run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FUSED_CONVOLUTIONS = frozenset({"_FusedConv2D", "FusedDepthwiseConv2dNative"})
_BIAS = 2
"""Position of the bias among a fused convolution's inputs, after the image and the kernel."""


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


def _bias(node: dict[str, Any]) -> str | None:
    """Return the name of a fused convolution's bias, None for any other node."""
    inputs = node.get("input", [])
    fused = node["op"] in _FUSED_CONVOLUTIONS and len(inputs) > _BIAS
    return inputs[_BIAS] if fused else None


def _flatten_constants(nodes: list[dict[str, Any]], names: set[str]) -> None:
    """Repeat the new shapes where the topology states them too."""
    for node in nodes:
        if node["name"] in names:
            shape = node["attr"]["value"]["tensor"]["tensorShape"]
            shape["dim"] = shape["dim"][-1:]
