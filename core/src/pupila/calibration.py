"""Calibration error, Brier score and log loss of a classifier's probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pupila.evaluation import Estimate
from pupila.intervals import (
    BY_PATIENT,
    DRAWS,
    Floats,
    Integers,
    members_of,
    resamples,
    resampling_interval,
    share,
)

BINS = 15
"""Number of bins of the expected calibration error, as in Guo et al. 2017."""
LEAST_PROBABILITY = 1 / 256
"""Smallest probability in a log loss: the step of an 8-bit output, which says 0 below it."""


def calibration(
    scores: Floats, truth: Integers, seed: int = 0, clusters: ArrayLike | None = None
) -> tuple[Estimate, Estimate]:
    """Return the expected calibration error (ECE) and the Brier score.

    `scores` are probabilities `(images, classes)`; `truth` is the index of each image's true class,
    `(images,)`. `clusters` is described in `pupila.intervals`.

    The ECE (Guo et al. 2017, equation 5) is `Σ_b |Σ_{i in b} (correct_i - confidence_i)| / n` over
    15 equally wide bins of the confidence, which is the highest probability. With few images the
    ECE is biased upwards, and bootstrap resamples add the same bias once more. The interval of the
    ECE is therefore the basic bootstrap interval (Davison and Hinkley 1997, section 5.2), which
    mirrors the resamples at the estimate.

    The Brier score (Brier 1950) is the mean over images of `Σ_classes (probability - truth)²`, in
    0..2.

    Both intervals are rough; `docs/decisions/0003-intervals.md` gives their coverage.
    """
    confidence = scores.max(axis=1)
    gaps = (scores.argmax(axis=1) == truth) - confidence
    bins = _bins(confidence)
    order = np.argsort(bins, kind="stable")
    starts = np.flatnonzero(np.diff(bins[order], prepend=-1))
    squares = np.square(scores - np.eye(scores.shape[1])[truth]).sum(axis=1)

    def both(counts: Floats) -> Floats:
        sums = np.add.reduceat(counts * gaps[order], starts, axis=1)
        totals = np.stack([np.abs(sums).sum(axis=1), counts @ squares[order]], axis=1)
        return totals / counts.sum(axis=1, keepdims=True)

    draws = np.concatenate(
        [both(counts[:, order]) for counts in resamples(len(truth), seed, clusters)]
    )
    ece, brier = (float(value) for value in both(np.ones((1, len(truth))))[0])
    mirrored = np.maximum(2 * ece - draws[:, 0], 0)
    independent = len(truth) if clusters is None else int(members_of(clusters).max()) + 1
    how = f"{DRAWS} draws, seed {seed}, rough" + (f", {BY_PATIENT}" if clusters is not None else "")
    return (
        resampling_interval(ece, mirrored, 1, independent, f"basic bootstrap, {how}"),
        resampling_interval(brier, draws[:, 1], 2, independent, f"percentile bootstrap, {how}"),
    )


@dataclass(frozen=True)
class ReliabilityBin:
    """The images whose confidence lies in one bin of the calibration error."""

    low: float
    high: float
    """The confidences of the bin: above `low`, up to `high`."""
    images: int
    confidence: float
    """Mean confidence of the images, 0..1."""
    right: Estimate
    """Fraction of them that the most probable class gets right."""


def reliability(
    scores: Floats, truth: Integers, clusters: ArrayLike | None = None
) -> list[ReliabilityBin]:
    """Return the bins of the ECE that have images, from the lowest confidence to the highest.

    Arguments are those of `calibration`. Drawn as fraction right over confidence they are the
    reliability diagram (DeGroot and Fienberg 1983, The Statistician 32:12; with the confidence of
    the most probable class as in Guo et al. 2017, figure 1): on the diagonal, the probabilities say
    how often the model is right.
    """
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == truth
    bins = _bins(confidence)
    patients = None if clusters is None else members_of(clusters)
    return [
        ReliabilityBin(
            low=number / BINS,
            high=(number + 1) / BINS,
            images=int(inside.sum()),
            confidence=float(confidence[inside].mean()),
            right=share(right[inside], None if patients is None else patients[inside]),
        )
        for number in np.unique(bins).tolist()
        for inside in [bins == number]
    ]


def _bins(confidence: Floats) -> Integers:
    """Return the bin of each confidence, from 0; bins include their upper end."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def log_loss(scores: Floats, truth: Integers, classes: Sequence[str]) -> Floats:
    """Return minus the logarithm of the true class's probability, `(images,)`, in nats.

    Probabilities below `LEAST_PROBABILITY` count as that. So a value is at most `-ln(1/256)`, 5.5,
    and files that differ by their rounding alone are alike.
    """
    chosen = scores[np.arange(len(truth)), truth]
    return -np.log(np.clip(chosen, LEAST_PROBABILITY, 1))
