"""False accepts where 95 % of the accepted images are let through: FPR at 95 % TPR."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from pupila.evaluation import Estimate
from pupila.intervals import BY_PATIENT, Floats, members_of, share

TRUE_ACCEPT = 0.95
"""Part of the accepted images at which false accepts are compared, as is usual."""

_TAIL = 0.025


def threshold_accepting(accepted: Floats) -> float:
    """Return the highest score that lets enough of the accepted images through: one of them has it.

    A threshold between two of them would count false accepts that no such model needs.
    """
    missed = int((1 - TRUE_ACCEPT) * len(accepted) + 1e-9)  # 1 - 0.95 may be a little under 0.05
    return float(np.sort(accepted)[missed])


def false_accepts(
    accepted: Floats,
    others: Floats,
    accepted_patients: ArrayLike | None = None,
    patients: ArrayLike | None = None,
) -> Estimate:
    """Return the part of the `others` that is let through at that threshold.

    The interval counts that the threshold comes from a sample too: the score that 5 % of all such
    images lie below is somewhere between two of those at hand, as the binomial distribution of
    their ranks says. What that adds at each end is put to Wilson's interval as Zou and Donner 2008
    (Statistics in Medicine 27:1693) add intervals, by squares. Fewer than 72 accepted images (or
    patients) may all lie above that score, so nothing bounds the figure from above.
    """
    threshold = threshold_accepting(accepted)
    fixed = share(others >= threshold, patients)
    part, (fewest, most) = fixed.value, _ends(accepted, others, accepted_patients)
    return Estimate(
        value=part,
        low=max(0.0, part - math.hypot(part - fixed.low, part - fewest)),
        high=min(1.0, part + math.hypot(fixed.high - part, most - part)),
        method="Wilson and order statistics, added as by Zou and Donner 2008"
        + (f", {BY_PATIENT}" if patients is not None or accepted_patients is not None else ""),
    )


def _ends(accepted: Floats, others: Floats, patients: ArrayLike | None) -> tuple[float, float]:
    """Return the false accepts at both ends of the 95 % interval of the threshold."""
    images = len(accepted)
    independent = images if patients is None else int(members_of(patients).max()) + 1
    below = _binomial_sums(independent)
    ordered = np.sort(accepted)
    highest = int(np.flatnonzero(1 - below <= _TAIL)[0]) + 1  # no more lie below but by chance
    last = ordered[min(images, math.ceil(highest * images / independent)) - 1]
    few = np.flatnonzero(below <= _TAIL)
    most = 1.0
    if len(few):
        first = ordered[int(few[-1] * images / independent)]
        most = float((others >= first).mean())
    return float((others >= last).mean()), most


def _binomial_sums(images: int) -> Floats:
    """Return the probability that at most 0, 1, … of `images` lie below: each with 5 %."""
    odds, counts = (1 - TRUE_ACCEPT) / TRUE_ACCEPT, np.arange(images)
    steps = np.log((images - counts) / (counts + 1) * odds)
    logs = images * math.log(TRUE_ACCEPT) + np.concatenate([[0.0], np.cumsum(steps)])
    return np.cumsum(np.exp(logs))
