"""What accuracies are worth on images that chose among many models.

The best of 160 models that are all right on 94 % of the images is right on 99 % of 105 of them, and
the interval of that one figure, taken by itself, misses the truth in four of five searches. So the
intervals of a search hold for all its models at once (Bonferroni), each epoch of each candidate
counted as a model, as the epoch too was chosen on these images. What the search learns from them by
breeding is not in them: figures on images that had no part in it tell more.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from pupila.measured import Interval
from pupila.noninferiority import LEVEL, proportion_interval


@dataclass(frozen=True)
class Luck:
    """So many images, and how often a model was looked at by them."""

    images: int
    looks: int

    @property
    def _level(self) -> float:
        return LEVEL / max(1, self.looks)

    def interval(self, wrong: Collection[int]) -> Interval:
        """Return the accuracy of a model, given the images that it answers wrongly."""
        found = proportion_interval(self.images - len(wrong), self.images, self._level)
        return Interval(value=found.value, low=found.low, high=found.high)

    def tells_apart(self, better: Collection[int], worse: Collection[int]) -> bool:
        """Tell whether one model is shown to be better than another, by what each gets wrong.

        McNemar's exact test (1947, Psychometrika 12:153), one-sided, of the images that only one of
        both gets wrong. Made for all models at once, it takes the truly best of them for worse than
        another in one search of forty, at most.
        """
        ours, theirs = set(better), set(worse)
        lost, gained = len(theirs - ours), len(ours - theirs)
        differing = lost + gained
        ways = sum(math.comb(differing, count) for count in range(lost, differing + 1))
        return ways / 2**differing <= self._level
