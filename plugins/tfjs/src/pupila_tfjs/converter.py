"""The border to `tensorflowjs`: its converter, run as a program of its own.

A subprocess keeps jax and TensorFlow Decision Forests, which it imports, out of our process.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from pupila import PupilaError
from pupila_tfjs.config import Weights

_QUANTIZATION: dict[Weights, list[str]] = {
    "float32": [],
    "float16": ["--quantize_float16=*"],
    "uint8": ["--quantize_uint8=*"],
}
"""uint8 has one scale for a whole weight, after batch normalisation was folded into it.

On 20 ACRIMA test images, largest difference of probabilities and part given the same class:
SqueezeNet 0.11 and 0.95, EfficientNet-Lite0 0.56 and 0.70. Left out: quantising kernels alone:
0.46 and 0.90 for the latter, no change for the former. float16: 0.005 at most, all the same.
"""
_LOG_LINE = re.compile(r"[IWEF]\d{4,}|\d{4}-\d\d-\d\d |WARNING:|INFO:")
_EXCEPTION_LINE = re.compile(r"[\w.]*(Error|Exception)\b")


def convert(saved_model: Path, output: Path, weights: Weights) -> None:
    """Turn a SavedModel into a TF.js graph model, `model.json` and weight shards, in `output`.

    Raises:
        PupilaError: the converter refused, with its reason.
    """
    finished = subprocess.run(
        [
            # -P: nothing is imported from the folder that the user happens to be in
            *(sys.executable, "-P", "-m", "tensorflowjs.converters.converter"),
            "--input_format=tf_saved_model",
            "--output_format=tfjs_graph_model",
            "--signature_name=serving_default",
            "--saved_model_tags=serve",
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
            f"{finished.returncode}): {_reason(finished.stderr)}. "
            "Where it names operations, replace the layers that need them."
        )


def _environment() -> dict[str, str]:
    """Return our environment without what makes the converter write another graph.

    tfmot sets `TF_USE_LEGACY_KERAS` for all children. With oneDNN on, Grappler fuses activations
    (`_FusedHardSwish`) that no backend of TF.js has.
    """
    kept = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    return kept | {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}


def _reason(stderr: str) -> str:
    """Return the last exception of a traceback with all its lines, or else the last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    lines = [line for line in lines if not _LOG_LINE.match(line)]
    starts = [number for number, line in enumerate(lines) if _EXCEPTION_LINE.match(line)]
    return " ".join(lines[starts[-1] :] if starts else lines[-1:]) or "it gave no reason"
