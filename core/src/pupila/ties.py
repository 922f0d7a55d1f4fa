"""Finds ties: images that share the highest probability of a class.

The maximum of a softmax or sigmoid is 255/256 in 8 bits and 1 in float32; a confident model may
give many images exactly this maximum. Ties lower the area under the ROC curve, and a threshold that
excludes one of the tied images excludes all of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pupila.exact import as_written, exact

LARGEST = 0.05
"""Fraction of images that may be tied without a warning. If more of the negative images were tied,
no threshold would have a specificity of 95 %."""


def tied(probabilities: ArrayLike) -> float:
    """Return the largest fraction of images that share the highest probability of one class.

    `probabilities` are `(images, classes)`. The fraction is 0 if no two images share the highest
    probability of a class.
    """
    answers = np.asarray(probabilities)
    together = int((answers == answers.max(axis=0)).sum(axis=0).max())
    return together / len(answers) if together > 1 else 0.0


def warning_of(part: float, images: int, what: str = "images") -> str | None:
    """Return a warning if `part`, the tied fraction of `images` images, is too large, else None."""
    if exact(part, images) <= as_written(LARGEST):
        return None
    together = round(part * images)
    if together == images:
        return (
            f"All {images} {what} are given one probability of a class: the model separates none "
            f"of them. Train it for longer, or find the step after which it answers like this."
        )
    return (
        f"{together} of {images} {what} share the highest probability of a class: no "
        f"threshold can separate them, and the area under the ROC curve counts them as equal. The "
        f"model's last operation has no higher value: a softmax or sigmoid ends at 255/256 in 8 "
        f"bits and at 1 in float32, int8 logits at the end of their calibrated range. Quantise "
        f"with `io_type: float`, calibrate on more images, or train for fewer epochs."
    )
