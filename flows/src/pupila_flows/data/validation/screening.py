"""What a gate says of the images: those that it does not take for the right kind are listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila_flows.data.validation.dataset_checks import SHOWN_IMAGES
from pupila_flows.results import Check

_ADVICE = (
    "Look at them: an image of another kind teaches and judges falsely. Take those out; where they "
    "are as they should be, the gate does not know such images."
)


def doubted(
    probabilities: NDArray[np.floating[Any]],
    paths: Sequence[str],
    *,
    teacher: str,
    accepts: str,
    threshold: float,
) -> Check:
    """Return a warning that lists the images of a low probability, the lowest first.

    `probabilities` `(images,)` are of the class that the gate `teacher` accepts.
    """
    below = np.flatnonzero(probabilities < threshold)
    worst: list[int] = below[np.argsort(probabilities[below], kind="stable")][
        :SHOWN_IMAGES
    ].tolist()
    figures = ", ".join(f"{probabilities[row]:.3f}" for row in worst)
    return Check(
        name=name(teacher, accepts),
        severity="warning",
        passed=not worst,
        found=f"{len(below)} of {len(paths)} images have a probability below {threshold:g}"
        + (f"; the lowest: {figures}" if worst else ""),
        advice=_ADVICE if worst else "",
        images=tuple(paths[row] for row in worst),
    )


def not_asked(teacher: str, accepts: str, reason: str) -> Check:
    """Return a warning that says why the gate was not asked."""
    return Check(
        name=name(teacher, accepts),
        severity="warning",
        passed=False,
        found=f"{teacher!r} was not asked: {reason.removesuffix('.')}",
    )


def name(teacher: str, accepts: str) -> str:
    """Say what is checked."""
    return f"Every image looks like {accepts!r} to {teacher!r}"
