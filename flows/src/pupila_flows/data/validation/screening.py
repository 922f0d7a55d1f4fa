"""Screens the images with a filter: lists the images that the filter does not accept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila_flows.data.validation.dataset_checks import SHOWN_IMAGES
from pupila_flows.results import Check

_ADVICE = (
    "Look at them, and take images of another kind out: they spoil training and evaluation. If "
    "they are all of the right kind, the filter does not know such images."
)


def check_probabilities(
    probabilities: NDArray[np.floating[Any]],
    paths: Sequence[str],
    *,
    teacher: str,
    accepts: str,
    threshold: float,
) -> Check:
    """Return a warning that lists the images below `threshold`, the lowest probability first.

    `probabilities` `(images,)` has each image's probability of the class `accepts`, as predicted by
    the filter named `teacher`. The filter accepts images whose probability is at least `threshold`.
    """
    below = np.flatnonzero(probabilities < threshold)
    worst: list[int] = below[np.argsort(probabilities[below], kind="stable")][
        :SHOWN_IMAGES
    ].tolist()
    lowest = ", ".join(f"{probabilities[row]:.3f}" for row in worst)
    return Check(
        name=name(teacher, accepts),
        severity="warning",
        passed=not worst,
        observed=f"{len(below)} of {len(paths)} images have a probability below {threshold:g}"
        + (f"; the lowest: {lowest}" if worst else ""),
        advice=_ADVICE if worst else "",
        images=tuple(paths[row] for row in worst),
    )


def skip_check(teacher: str, accepts: str, reason: str) -> Check:
    """Return a warning that says why the images were not screened."""
    return Check(
        name=name(teacher, accepts),
        severity="warning",
        passed=False,
        observed=f"{teacher!r} was not asked: {reason.removesuffix('.')}",
    )


def name(teacher: str, accepts: str) -> str:
    """Return the name of the check that screens images by a filter."""
    return f"Every image looks like {accepts!r} to {teacher!r}"
