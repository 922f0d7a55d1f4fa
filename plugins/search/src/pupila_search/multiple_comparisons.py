"""Intervals and tests for the best of many models that were evaluated on the same images.

If 160 models all have a true accuracy of 94 %, the best of them scores 99 % on 105 images, and the
95 % interval around that score misses the true accuracy in four of five searches. So the intervals
of a search are made to hold for all its models at once (Bonferroni). Each epoch of each candidate
counts as a model, since the epoch too was chosen on these images. Breeding also adapts to the
images. The intervals do not correct for breeding: evaluate the chosen model on other images.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from pupila.measured import Interval
from pupila.noninferiority import LEVEL, proportion_interval


@dataclass(frozen=True)
class MultipleComparisons:
    """Corrects the accuracies of models that were all evaluated on the same images."""

    images: int
    looks: int
    """Number of evaluations on these images, of all models together."""

    @property
    def _level(self) -> float:
        return LEVEL / max(1, self.looks)

    def interval(self, wrong: Collection[int]) -> Interval:
        """Return a model's accuracy with its corrected interval.

        `wrong` has the rows of the images that the model misclassifies.
        """
        estimate = proportion_interval(self.images - len(wrong), self.images, self._level)
        return Interval(value=estimate.value, low=estimate.low, high=estimate.high)

    def is_better(self, better: Collection[int], worse: Collection[int]) -> bool:
        """Return whether one model is significantly better than another.

        `better` has the rows of the images that the first model gets wrong, and `worse` the rows of
        the images that the second model gets wrong. The test is McNemar's exact test (1947,
        Psychometrika 12:153), one-sided, on the images that only one of the two models gets wrong.
        The level of the test is corrected for all models at once: in at most one search of forty,
        the truly best model is found significantly worse than another model.
        """
        ours, theirs = set(better), set(worse)
        lost, gained = len(theirs - ours), len(ours - theirs)
        differing = lost + gained
        ways = sum(math.comb(differing, count) for count in range(lost, differing + 1))
        return ways / 2**differing <= self._level
