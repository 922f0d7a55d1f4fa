"""Simulated answers of classifiers, with known true figures."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def two_columns(positive: Sequence[float] | Floats) -> Floats:
    first = np.asarray(positive, np.float64)
    return np.stack([first, 1 - first], axis=1)


def binormal(
    random: np.random.Generator, area: float, positives: int, negatives: int, wrong: float = 0.0
) -> tuple[Floats, Integers]:
    """Draw scores whose true area under the curve is `area (1 - wrong)`, and labels.

    0 is the positive class, of which a fraction `wrong` is answered completely wrong.
    """
    shift = float(np.sqrt(2) * import_module("scipy.stats").norm.ppf(area))
    truth = np.repeat([0, 1], [positives, negatives])
    scores = random.normal(np.repeat([shift, 0], [positives, negatives]))
    scores[(truth == 0) & (random.random(len(truth)) < wrong)] -= 30
    return 1 / (1 + np.exp(-scores)), truth
