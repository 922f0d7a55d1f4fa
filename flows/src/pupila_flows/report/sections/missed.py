"""How many images of the positive class a model misses, as counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pupila.evaluation import Estimate, Metrics
from pupila.exact import exact
from pupila_flows.report import formatting


@dataclass(frozen=True)
class Missed:
    """The images of the positive class that a model does not find at its threshold."""

    missed: int
    images: int
    """Number of images of the positive class."""
    alarms: int
    """Images of other classes that are taken for the positive one."""
    others: int
    """Number of images of other classes."""
    at: str
    """The threshold, and how it was chosen."""


def missed(metrics: Metrics, classes: Sequence[str]) -> Missed | None:
    """Return how many positive images a model misses; None without an operating point."""
    point = metrics.point
    if point is None or metrics.positive not in classes:
        return None
    positives = positives_of(metrics, classes)
    others = metrics.images - positives
    return Missed(
        missed=_wrong(point.sensitivity, positives),
        images=positives,
        alarms=_wrong(point.specificity, others),
        others=others,
        at=formatting.threshold(metrics),
    )


def positives_of(metrics: Metrics, classes: Sequence[str]) -> int:
    """Return how many of the evaluated images are of the positive class."""
    return sum(metrics.confusion[list(classes).index(metrics.positive)])


def _wrong(right: Estimate, images: int) -> int:
    return images - int(exact(right.value, images) * images)
