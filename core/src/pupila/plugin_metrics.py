"""Metrics that plugins add to those of a task, each with a 95 % interval; see `pupila.plugin`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pupila.errors import PupilaError
from pupila.evaluation import Estimate, Figure, Metrics
from pupila.intervals import BY_PATIENT, DRAWS, members_of, resamples, resampling_interval
from pupila.plugin_registry import installed
from pupila.result_plugins import Metric
from pupila.task import Answers, MetricSettings, TaskMethods, Truths, methods_of

Floats = NDArray[np.float64]

_ROUNDING = 1e-9
"""How far a value may lie outside its bounds because sums are rounded."""


def metrics_of_answers(
    task: str, answers: Answers, truths: Truths, settings: MetricSettings
) -> Metrics:
    """Return the metrics of a task's answers to some images, with those that plugins add.

    `answers` are `(images, columns)`, `truths` `(images, …)`. The figures of installed metrics
    are in `Metrics.added`, by name; why one has none, in `Metrics.not_measured`.

    Raises:
        PupilaError: there are no images, or the arrays do not fit each other or the task.
    """
    methods = methods_of(task)
    metrics = methods.metrics(answers, truths, settings)
    added: list[Figure] = []
    not_measured: dict[str, str] = {}
    for metric in installed().metrics(task):
        try:
            added += _figures(metric, methods, answers, truths, settings)
        except PupilaError as error:  # a package costs its own figure, and no other
            not_measured[metric.name] = str(error)
    return metrics.model_copy(update={"added": tuple(added), "not_measured": not_measured})


def values_of_images(
    metric: Metric, answers: Answers, truths: Truths, classes: Sequence[str]
) -> Floats:
    """Return what a metric says of each image, `(images,)`; NaN where an image has no value.

    If the metric is `decided`, so must the answers be.

    Raises:
        PupilaError: the plugin raised one, or returned values of another shape, infinite values, or
            values outside its bounds.
    """
    values = _measured(metric, answers, truths, classes)
    if values.shape != (len(truths),) or np.isinf(values).any():
        raise PupilaError(
            f"{_title(metric)} returned values of shape {values.shape!r} for {len(truths)} images: "
            f"expected ({len(truths)},), finite or NaN. Fix the plugin."
        )
    known = values[~np.isnan(values)]
    low, high = metric.bounds or (-np.inf, np.inf)
    outside = known[(known < low - _ROUNDING) | (known > high + _ROUNDING)]
    if len(outside):
        raise PupilaError(
            f"{_title(metric)} returned {outside[0]:g} for an image, outside of its bounds "
            f"{metric.bounds!r}. Fix the plugin."
        )
    return np.clip(values, low, high)


def _figures(
    metric: Metric,
    methods: TaskMethods,
    answers: Answers,
    truths: Truths,
    settings: MetricSettings,
) -> Iterator[Figure]:
    """Yield the figure of a metric; nothing if it has no value on these images."""
    given = np.asarray(answers, np.float64)
    if metric.decided:
        given = methods.decided(given, settings.classes, settings.shipped)
    estimate = _estimate(metric, given, truths, settings)
    if estimate is not None:
        yield Figure(
            name=metric.name,
            title=metric.title,
            unit=metric.unit,
            estimate=estimate,
            lower_is_better=metric.lower_is_better,
        )


def _estimate(
    metric: Metric, answers: Floats, truths: Truths, settings: MetricSettings
) -> Estimate | None:
    patients = settings.patients
    if metric.per_image:
        values = values_of_images(metric, answers, truths, settings.classes)
        known = ~np.isnan(values)
        if not known.any():
            return None
        clusters = None if patients is None else np.asarray(patients)[known]
        return mean_estimate(values[known], metric.bounds, clusters)

    def value_on(rows: Any) -> float:
        return _value_of_set(metric, answers[rows], truths[rows], settings.classes)

    return _of_set(value_on, len(truths), metric.bounds, patients)


def _measured(metric: Metric, answers: Answers, truths: Truths, classes: Sequence[str]) -> Floats:
    """Call a metric.

    Raises:
        PupilaError: the plugin raised anything.
    """
    try:
        return np.asarray(metric.load()(answers, truths, classes), np.float64)
    except PupilaError:
        raise
    except Exception as error:  # a third party's code may raise anything
        raise PupilaError(
            f"{_title(metric)} raised {type(error).__name__}: {error}, on {len(truths)} images of "
            f"{', '.join(classes)}. A metric gives NaN for data that it does not fit: fix the "
            f"plugin."
        ) from error


def _value_of_set(metric: Metric, answers: Floats, truths: Truths, classes: Sequence[str]) -> float:
    value = _measured(metric, answers, truths, classes)
    low, high = metric.bounds or (-np.inf, np.inf)
    fits = value.shape == () and not np.isinf(value)
    if not fits or value < low - _ROUNDING or value > high + _ROUNDING:
        raise PupilaError(
            f"{_title(metric)} returned {value.tolist()!r} for {len(truths)} images: expected one "
            f"number{f' within {metric.bounds!r}' if metric.bounds else ''}, or NaN. Fix the "
            f"plugin."
        )
    return float(np.clip(value, low, high))


def mean_estimate(
    values: Floats, bounds: tuple[float, float] | None, clusters: ArrayLike | None = None
) -> Estimate:
    """Return the mean of the images' values `(images,)` with its 95 % interval, by bootstrap.

    `bounds` are the lowest and highest value that an image can have; with them, the interval allows
    for images that are not there, so it has a width even if all values are the same. `clusters` has
    the patient of each image.
    """
    draws = np.concatenate(
        [counts @ values / counts.sum(axis=1) for counts in resamples(len(values), 0, clusters)]
    )
    return _interval(float(values.mean()), draws, len(values), bounds, clusters)


def _of_set(
    value_on: Callable[[Any], float],
    images: int,
    bounds: tuple[float, float] | None,
    clusters: ArrayLike | None,
) -> Estimate | None:
    """Return a set's value with its interval; None if it has none.

    Resamples without a value, such as those that lack a class, are left out.
    """
    value = value_on(slice(None))
    if np.isnan(value):
        return None
    rows = np.arange(images)
    draws = np.array(
        [
            value_on(np.repeat(rows, row.astype(np.int64)))
            for counts in resamples(images, 0, clusters)
            for row in counts
        ]
    )
    return _interval(value, draws[~np.isnan(draws)], images, bounds, clusters)


def _interval(
    value: float,
    draws: Floats,
    images: int,
    bounds: tuple[float, float] | None,
    clusters: ArrayLike | None,
) -> Estimate:
    """Return the percentile interval; within bounds, it allows for images that are not there.

    See `pupila.intervals.resampling_interval`.
    """
    independent = images if clusters is None else int(members_of(clusters).max()) + 1
    by = "" if clusters is None else f", {BY_PATIENT}"
    method = f"percentile bootstrap, {DRAWS} draws, seed 0, rough{by}"
    draws = draws if len(draws) else np.array([value])
    if bounds is None:
        low, high = (float(limit) for limit in np.quantile(draws, [0.025, 0.975]))
        return Estimate(value=value, low=min(low, value), high=max(high, value), method=method)
    start, end = bounds
    shifted = resampling_interval(value - start, draws - start, end - start, independent, method)
    return Estimate(value=value, low=shifted.low + start, high=shifted.high + start, method=method)


def _title(metric: Metric) -> str:
    return f"Metric {metric.name!r} of {installed().origin(metric).distribution}"
