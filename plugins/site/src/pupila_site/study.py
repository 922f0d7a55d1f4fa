"""The study's measurements in browsers, which the page shows beside the visitor's own.

A. García Perdomo, "Optimización de modelos de redes neuronales convolucionales para diagnóstico
de glaucoma", bachelor's thesis, Universidad de La Laguna, May 2023: TensorFlow.js on WebGL, and
tfjs-tflite 0.0.1-alpha.9; Chrome on a phone, Firefox on a PC. Milliseconds for one inference.
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
"""Milliseconds by model and device; the numbers are in the order of `COLUMNS`."""


def table() -> dict[str, Any]:
    """Return the study's measurements in the form that the page reads."""
    rows = [
        {"model": model, "device": device, "ms": list(times)}
        for (model, device), times in MILLISECONDS.items()
    ]
    return {"columns": list(COLUMNS), "rows": rows}
