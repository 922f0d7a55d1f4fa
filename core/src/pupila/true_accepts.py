"""The rate of false accepts at the threshold that accepts 95 % of positives: FPR at 95 % TPR."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from pupila.evaluation import Estimate
from pupila.intervals import BY_PATIENT, Floats, members_of, share

TRUE_ACCEPT = 0.95
"""True positive rate at which false accepts are compared; 95 % is customary."""

_TAIL = 0.025


def threshold_accepting(accepted: Floats) -> float:
    """Return the highest threshold that accepts 95 % of the scores `accepted`, `(images,)`.

    The threshold is one of the scores `accepted`: a lower threshold, between two scores, would only
    add false accepts.
    """
    missed = int((1 - TRUE_ACCEPT) * len(accepted) + 1e-9)  # 1 - 0.95 may be a little under 0.05
    return float(np.sort(accepted)[missed])


def false_accepts(
    accepted: Floats,
    others: Floats,
    accepted_patients: ArrayLike | None = None,
    patients: ArrayLike | None = None,
) -> Estimate:
    """Return which fraction of `others` the threshold for 95 % of `accepted` accepts.

    `accepted` are the scores of the images to accept, `others` the scores of the images to reject,
    both `(images,)`. `accepted_patients` has the patient of each image to accept, and `patients`
    the patient of each image to reject.

    The 95 % interval of this fraction p combines two others, low₁..high₁ and low₂..high₂. Its ends
    are (Zou and Donner 2008, Statistics in Medicine 27:1693)

        p - √((p - low₁)² + (p - low₂)²)  and  p + √((high₁ - p)² + (high₂ - p)²)

    The first interval is Wilson's, for a fixed threshold. The second interval allows for a
    threshold that was chosen on a sample: by the binomial distribution of ranks, the true 5 %
    quantile of the scores to accept lies between two of the observed scores. low₂ and high₂ are the
    fractions of `others` accepted at these two scores. With fewer than 72 images (or patients) to
    accept, the quantile may lie below all observed scores; high₂ is then 1.
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
    """Return the false-accept rates at the ends of the threshold's 95 % interval, sorted."""
    images = len(accepted)
    independent = images if patients is None else int(members_of(patients).max()) + 1
    below = _binomial_sums(independent)
    ordered = np.sort(accepted)
    highest = int(np.flatnonzero(1 - below <= _TAIL)[0]) + 1  # more below only by chance
    last = ordered[min(images, math.ceil(highest * images / independent)) - 1]
    unlikely = np.flatnonzero(below <= _TAIL)
    most = 1.0
    if len(unlikely):
        first = ordered[int(unlikely[-1] * images / independent)]
        most = float((others >= first).mean())
    return float((others >= last).mean()), most


def _binomial_sums(images: int) -> Floats:
    """Return the binomial probabilities that at most 0, 1, … of `images` are below, at 5 % each."""
    odds, counts = (1 - TRUE_ACCEPT) / TRUE_ACCEPT, np.arange(images)
    steps = np.log((images - counts) / (counts + 1) * odds)
    logs = images * math.log(TRUE_ACCEPT) + np.concatenate([[0.0], np.cumsum(steps)])
    return np.cumsum(np.exp(logs))
