"""Runs the converter of `tensorflowjs` as a subprocess.

The converter imports jax and TensorFlow Decision Forests, which are kept out of our process.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from pupila import PupilaError
from pupila.errors import join_names
from pupila_tfjs.config import Weights

_QUANTIZATION: dict[Weights, list[str]] = {
    "float32": [],
    "float16": ["--quantize_float16=*"],
    "uint8": ["--quantize_uint8=*"],
}
"""Options of the converter by type of weights.

uint8 has one scale for a whole weight tensor, into which batch normalisation has been folded.

Two values were measured on 20 ACRIMA test images: the largest difference of probabilities from the
float32 model, and the fraction of images with the same predicted class. With uint8 they are 0.11
and 0.95 for SqueezeNet, and 0.56 and 0.70 for EfficientNet-Lite0. With float16 they are at most
0.005, and 1. Quantising only kernels helped too little: 0.46 and 0.90 for EfficientNet-Lite0.
"""
_LOOPS = frozenset({"Exit", "StatelessWhile", "While"})
"""Operations that only a graph with a loop has."""
_LOG_LINE = re.compile(r"[IWEF]\d{4,}|\d{4}-\d\d-\d\d |WARNING:|INFO:")
_EXCEPTION_LINE = re.compile(r"[\w.]*(Error|Exception)\b")


def convert(saved_model: Path, output: Path, weights: Weights) -> None:
    """Convert a SavedModel to a TF.js graph model in `output`: `model.json` and weight shards.

    Raises:
        PupilaError: the converter failed; the message gives its reason.
    """
    finished = subprocess.run(
        [
            # -P: import nothing from the current folder
            *(sys.executable, "-P", "-m", "tensorflowjs.converters.converter"),
            "--input_format=tf_saved_model",
            "--output_format=tfjs_graph_model",
            "--signature_name=serving_default",
            "--saved_model_tags=serve",
            "--skip_op_check",  # it also refuses what is folded later: see `check_operations`
            *_QUANTIZATION[weights],
            *(str(saved_model), str(output)),
        ],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise PupilaError(
            "The TF.js converter refused the model (exit code "
            f"{finished.returncode}): {_reason(finished.stderr)}."
        )


def check_operations(model_json: Path) -> None:
    """Refuse a graph model with operations that no backend of TF.js has.

    The converter's own check comes before it folds constants, and refuses operations that only make
    constants, such as those of `keras.ops.image.extract_patches`.

    Raises:
        PupilaError: the model has a loop, or operations that TF.js lacks; the message names them.
    """
    topology = json.loads(model_json.read_text())["modelTopology"]
    functions = topology.get("library", {}).get("function", [])
    graphs = [topology["node"], *(function.get("nodeDef", []) for function in functions)]
    present = {node["op"] for nodes in graphs for node in nodes}
    if present & _LOOPS:
        raise PupilaError(
            "The model has a loop, as recurrent layers have, which TF.js cannot run in one pass: "
            "build these layers with `unroll=True`, or run the model in LiteRT.js, by "
            "export-tflite."
        )
    if lacking := present - _supported():
        raise PupilaError(
            f"The model has operations that TF.js lacks: {join_names(sorted(lacking))}. Replace "
            f"the layers that need them, or run the model in LiteRT.js, by export-tflite."
        )


def _supported() -> set[str]:
    """Return the names of TensorFlow's operations that TF.js can compute, as the converter says."""
    spec = find_spec("tensorflowjs")
    folder = Path(str(spec and spec.origin)).parent / "op_list"
    files = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return {operation["tfOpName"] for operations in files for operation in operations}


def _environment() -> dict[str, str]:
    """Return this process's environment, changed so that the converter writes a graph for TF.js.

    `TF_USE_LEGACY_KERAS`, which tfmot sets for all child processes, is removed. oneDNN is switched
    off: with it, Grappler makes fused operations (`_FusedHardSwish`) that no backend of TF.js has.
    """
    kept = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    return kept | {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}


def _reason(stderr: str) -> str:
    """Return the last exception in a log, with all lines of its message.

    If there is no exception, return the last line.
    """
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    lines = [line for line in lines if not _LOG_LINE.match(line)]
    starts = [number for number, line in enumerate(lines) if _EXCEPTION_LINE.match(line)]
    return " ".join(lines[starts[-1] :] if starts else lines[-1:]) or "it gave no reason"
