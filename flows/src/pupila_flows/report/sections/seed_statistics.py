"""Computes a mean over images and seeds, both random effects, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pupila.evaluation import Estimate
from pupila.intervals import BY_PATIENT

METHOD = "t interval over images and seeds (crossed random effects)"


def mean_over_images_and_seeds(
    values: NDArray[np.float64],
    extremes: Sequence[float],
    patients: NDArray[np.int64] | None = None,
) -> Estimate:
    """Return the mean of `values` `(seeds, images)`, with a 95 % interval.

    The interval is over seeds and images: it holds for new seeds and new images.

    With y_si = μ + seed_s + image_i + rest_si (crossed random effects; Owen 2007, "The pigeonhole
    bootstrap", Ann. Appl. Stat. 1:386), the mean over S seeds and n images has the variance
    σ²_image / n + σ²_seed / S + σ²_rest / nS. The variance over images of the means over seeds,
    divided by n, estimates the first and the last term. The variance over seeds of the means over
    images, divided by S, estimates the second and the last. Their sum counts the last term twice,
    so the interval errs on the wide side. The interval uses Student's quantile with the degrees of
    freedom of Satterthwaite 1946 (Biometrics Bull. 2:110).

    `extremes` are values added to the data as further images, the same for all seeds, so that the
    interval has a width even if all values are equal. The extremes must include the smallest and
    the largest possible value, and these bound the interval. For a difference, use (1, -1): with
    one seed, this is the interval of Bonett and Price 2012 except for the quantile. For a
    proportion, use (1, 1, 0, 0): with one seed, this is the interval of Agresti and Coull 1998
    except for the quantile.

    `patients` has the number of each image's patient, `(images,)`. If `patients` is given, the
    variance over images is computed from sums over patients.
    """
    from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType] - imported late, for a terminal without seeds

    images = np.concatenate([values.mean(axis=0), extremes])
    terms = [_over_images(images, patients)]
    if len(values) > 1:
        terms.append((float(values.mean(axis=1).var(ddof=1)) / len(values), len(values) - 1))
    variance = sum(term for term, _ in terms)
    freedom = variance**2 / sum(term**2 / own for term, own in terms)
    centre = float(images.mean())
    half = float(stdtrit(freedom, 0.975)) * math.sqrt(variance)
    return Estimate(
        value=float(values.mean()),
        low=max(min(extremes), centre - half),
        high=min(max(extremes), centre + half),
        method=METHOD if patients is None else f"{METHOD}, {BY_PATIENT}",
    )


def _over_images(
    images: NDArray[np.float64], patients: NDArray[np.int64] | None
) -> tuple[float, int]:
    """Return the variance of the mean over images, and its degrees of freedom."""
    total = len(images)
    if patients is None:
        return float(images.var()) / total, total - 1
    number = int(patients.max()) + 1
    added = number + np.arange(total - len(patients))  # each extreme is a patient of its own
    sums = np.bincount(np.concatenate([patients, added]), weights=images - images.mean())
    return float(sums @ sums) / total**2, len(sums) - 1
