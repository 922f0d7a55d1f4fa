"""The study's latencies in browsers, which the page shows beside the latencies it measures.

The study is A. García Perdomo, "Optimización de modelos de redes neuronales convolucionales para
diagnóstico de glaucoma", bachelor's thesis, Universidad de La Laguna, May 2023. It measured
milliseconds for one inference with TensorFlow.js on WebGL, and with tfjs-tflite 0.0.1-alpha.9, in
Chrome on a phone and in Firefox on a PC.
"""

from __future__ import annotations

from typing import Any

COLUMNS = (
    "TF.js float32",
    "TF.js float16",
    "TF.js 8-bit",
    "TFLite float32",
    "TFLite float16",
    "TFLite dynamic",
)

MILLISECONDS = {
    ("VGG19", "phone"): (46, 41, 50, 2791, 2739, 3476),
    ("ResNet50", "phone"): (70, 62, 60, 638, 573, 730),
    ("Inception v3", "phone"): (147, 97, 75, 883, 825, 1046),
    ("Xception", "phone"): (101, 63, 60, 1302, 1233, 1454),
    ("VGG19", "computer"): (6, 5, 6, 1724, 1683, 956),
    ("ResNet50", "computer"): (12, 10, 10, 346, 343, 230),
    ("Inception v3", "computer"): (15, 14, 12, 480, 473, 317),
    ("Xception", "computer"): (8, 8, 7, 689, 687, 492),
}
"""Milliseconds for one inference, by model and device, in the order of `COLUMNS`."""


def table() -> dict[str, Any]:
    """Return the study's measurements in the form that the page reads."""
    rows = [
        {"model": model, "device": device, "ms": list(times)}
        for (model, device), times in MILLISECONDS.items()
    ]
    return {"columns": list(COLUMNS), "rows": rows}
