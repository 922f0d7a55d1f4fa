"""Answers that share the highest probability of a class, so that no threshold tells them apart.

An 8-bit softmax or sigmoid cannot say more than 255/256, and one in float32 no more than 1: all
that a confident model would rank above that is equal. The area under the ROC curve falls then, and
a threshold that leaves out one of those images leaves out all of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pupila.exact import as_written, exact

LARGEST = 0.05
"""Part of the images that may be tied before a warning: where so many are of the other classes, a
specificity of 95 % is out of reach."""


def tied(probabilities: ArrayLike) -> float:
    """Return the largest part of the images that share the highest probability of one class.

    `probabilities` are `(images, classes)`; 0 where the top of every class is one image's alone.
    """
    answers = np.asarray(probabilities)
    together = int((answers == answers.max(axis=0)).sum(axis=0).max())
    return together / len(answers) if together > 1 else 0.0


def warning_of(part: float, images: int, what: str = "images") -> str | None:
    """Say what it means that such a part of so many `what` is tied; None where it is small."""
    if exact(part, images) <= as_written(LARGEST):
        return None
    together = round(part * images)
    if together == images:
        return (
            f"All {images} {what} are given one probability of a class: the model tells nothing "
            f"apart there. Train it for longer, or look for the step from which on it answers so."
        )
    return (
        f"{together} of {images} {what} share the highest probability of a class: no "
        f"threshold tells them apart, and the area under the ROC curve takes them for equal. What "
        f"ends the model has no higher number: a softmax or sigmoid ends at 255/256 in 8 bits and "
        f"at 1 in float32, int8 logits where calibration did. Quantise with `io_type: float`, "
        f"calibrate on more images, or train for fewer epochs."
    )
