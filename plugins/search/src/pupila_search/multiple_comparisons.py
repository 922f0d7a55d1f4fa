"""Intervals and tests for models that were chosen among many on the same images.

The best of 160 models that are all right on 94 % of images is right on 99 % of 105 of them, and the
95 % interval of that one accuracy misses the truth in four of five searches. So the intervals of a
search hold for all its models at once (Bonferroni). Each epoch of each candidate counts as a model,
since the epoch too was chosen on these images. They do not correct for breeding, which adapts to
the images too: evaluate on other images.
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
    """How often a model was evaluated on them."""

    @property
    def _level(self) -> float:
        return LEVEL / max(1, self.looks)

    def interval(self, wrong: Collection[int]) -> Interval:
        """Return the accuracy of a model, given the images that it answers wrongly."""
        estimate = proportion_interval(self.images - len(wrong), self.images, self._level)
        return Interval(value=estimate.value, low=estimate.low, high=estimate.high)

    def is_better(self, better: Collection[int], worse: Collection[int]) -> bool:
        """Whether one model is significantly better than another, given what each gets wrong.

        McNemar's exact test (1947, Psychometrika 12:153), one-sided, on the images that only one of
        both gets wrong. At this level for all models at once, the truly best one is taken for
        worse than another in at most one search of forty.
        """
        ours, theirs = set(better), set(worse)
        lost, gained = len(theirs - ours), len(ours - theirs)
        differing = lost + gained
        ways = sum(math.comb(differing, count) for count in range(lost, differing + 1))
        return ways / 2**differing <= self._level
