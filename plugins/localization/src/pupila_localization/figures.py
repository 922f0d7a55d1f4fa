"""The figures of a locator's answers to one set of images, each with a 95 % interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from pupila.evaluation import Estimate, Figure
from pupila.fidelity import bootstrap
from pupila.intervals import share
from pupila.task import Answers, ErrorMeasure, Errors, Truths
from pupila_localization.columns import PRESENCE, Bools, Differences, Floats, by_name, is_found

_FAR = 0.95
"""Quantile of the larger errors."""
_PERCENT = 100
_COUNTED_RADII = 0.5
"""Errors count up to this many true radii in comparisons."""

ERROR = ErrorMeasure(
    title="mean error",
    unit="% of the width",
    meaning="an error is the distance of the centres; it counts up to half the true radius, as "
    "what is farther off is a matter of whether it was found",
    margin=0.2,
)


def errors_of(answers: Answers, truths: Truths) -> Errors:
    """Return the errors that `ERROR` describes, as means over the names that are there."""
    differences = Differences.of(answers, truths)
    there = by_name(truths)[..., PRESENCE] == 1
    limits = _COUNTED_RADII * differences.radius
    counted = np.minimum(differences.distance, limits)

    def of_images(values: Floats) -> Floats:
        total, names = np.where(there, values, 0).sum(axis=1), there.sum(axis=1)
        return _PERCENT * total / np.where(names, names, np.nan)

    return Errors(values=of_images(counted), limits=of_images(limits))


def figures_of(
    answers: Answers, truths: Truths, present_from: float, patients: ArrayLike | None
) -> Iterator[Figure]:
    """Yield the figures of answers; those of positions are of the images where something is.

    With several names, the figures of an image are means over the names that are there.
    """
    there = by_name(truths)[..., PRESENCE] == 1
    yield from _of_positions(answers, truths, present_from, there.any(axis=1), patients)
    absent = (by_name(truths)[..., PRESENCE] == 0).any(axis=1)
    if absent.any():
        right = is_found(answers, truths, present_from).all(axis=1)
        rejected = share(right[absent], _of(patients, absent))
        yield Figure(name="absent", title="rightly absent", unit="", estimate=rejected)


def _of_positions(
    answers: Answers,
    truths: Truths,
    present_from: float,
    rows: Bools,
    patients: ArrayLike | None,
) -> Iterator[Figure]:
    if not rows.any():
        return
    answers, truths, patients = answers[rows], truths[rows], _of(patients, rows)
    differences = Differences.of(answers, truths)
    near = is_found(answers, truths, present_from, radii=0.5).all(axis=1)
    error = np.nanmean(differences.distance, axis=1)
    in_radii = np.nanmean(differences.distance / differences.radius, axis=1)

    def interval(figure: Callable[[Floats], Floats]) -> Estimate:
        return bootstrap(figure, len(answers), patients)

    for name, title, unit, values in (
        ("error", "error", "% of the width", error * _PERCENT),
        ("error_in_radii", "error", "radii", in_radii),
    ):
        for suffix, words, level in (("", "median", 0.5), ("_p95", "95th percentile of the", _FAR)):
            yield Figure(
                name=f"{name}{suffix}",
                title=f"{words} {title}",
                unit=unit,
                estimate=interval(partial(quantile, values, level)),
                lower_is_better=True,
            )
    yield Figure(
        name="within_half", title="within half a radius", unit="", estimate=share(near, patients)
    )
    sizes = np.nanmean(differences.size_error, axis=1) * _PERCENT
    yield Figure(
        name="size_error",
        title="median error of the size",
        unit="%",
        estimate=interval(partial(quantile, sizes, 0.5)),
        lower_is_better=True,
    )
    overlap = np.nanmean(differences.overlap, axis=1)
    yield Figure(
        name="iou",
        title="mean IoU of the boxes",
        unit="",
        estimate=interval(partial(_mean, overlap)),
    )


def quantile(values: Floats, level: float, counts: Floats) -> Floats:
    """Return a quantile of each resample, `(draws,)`, interpolated as `numpy.quantile` does.

    `values` are `(images,)`; `counts` `(draws, images)` says how often each resample contains each
    image.
    """
    order = np.argsort(values, kind="stable")
    ascending, until = values[order], np.cumsum(counts[:, order], axis=1)
    rank = level * (until[:, -1] - 1)
    below = np.floor(rank)

    def at(rank: Floats) -> Floats:
        return ascending[(until <= rank[:, np.newaxis]).sum(axis=1)]

    lower, upper = at(below), at(np.ceil(rank))
    return lower + (rank - below) * (upper - lower)


def _mean(values: Floats, counts: Floats) -> Floats:
    return counts @ values / counts.sum(axis=1)


def _of(patients: ArrayLike | None, rows: Bools) -> ArrayLike | None:
    return None if patients is None else np.asarray(patients)[rows]
