"""How closely a model's answers follow its teacher's; the images need no labels.

Two models may have the same accuracy on the data and yet answer images from elsewhere differently.
So the logits of model and teacher are compared, not only their most probable classes. With two
classes, the logits are the log-odds `log p/(1-p)`. With more classes, the logits are `log p` minus
the mean of `log p` over the classes. Probabilities below `FLOOR` count as `FLOOR`.

Intervals are percentile bootstrap intervals (Efron 1979, Annals of Statistics 7:1) over images, or
over patients where they are known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.intervals import BY_PATIENT, DRAWS, resamples, share

Floats = NDArray[np.float64]

FLOOR = 1 / 512
"""Lowest probability that is distinguished: half a step of an 8-bit probability. An 8-bit 0 may
stand for any probability below this. Log-odds of 8-bit and of 32-bit models then have the same
range, -6.2 to 6.2."""
LEAST_IMAGES = 5
"""Fewest images that are compared: a plane over three colours would fit four images exactly."""


class Fidelity(BaseModel):
    """How closely a model's answers follow its teacher's, with 95 % intervals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference: str = Field(description="Name of the teacher.")
    images: int
    correlation: Estimate = Field(
        description="Pearson correlation of the model's logits with the teacher's; with more than "
        "two classes, the mean over classes. 0 if a model gives all images the same answer."
    )
    labels: Estimate = Field(description="Fraction of images given the same most probable class.")
    mean_difference: Estimate = Field(
        description="With two classes, mean of the model's minus the teacher's log-odds of the "
        "positive class. With more classes, the absolute value of the mean difference of each "
        "class's logit, averaged over the classes."
    )
    colour: Estimate | None = Field(
        default=None,
        description="Fraction of the variance of the model's logits (R²) that the mean red, green "
        "and blue of the images explain. Chance alone gives 3/(images - 1).",
    )
    reference_colour: Estimate | None = Field(
        default=None, description="The same fraction for the teacher's logits."
    )


def fidelity(
    name: str,
    logits: ArrayLike,
    reference: ArrayLike,
    same: ArrayLike,
    *,
    colours: ArrayLike | None = None,
    patients: ArrayLike | None = None,
    seed: int = 0,
) -> Fidelity:
    """Compare logits `(images, columns)` with those of the teacher `name`, image by image.

    See `logits_of`; another task gives other numbers (`pupila.task.TaskMethods.comparable`). `same`
    says which images are answered alike `(images,)`; `colours` are the mean red, green and blue
    `(images, 3)` of the images.

    Raises:
        PupilaError: the arrays' shapes differ, or there are fewer than `LEAST_IMAGES` images.
    """
    ours, others = np.asarray(logits, np.float64), np.asarray(reference, np.float64)
    if ours.shape != others.shape or ours.ndim != 2 or len(ours) < LEAST_IMAGES:
        raise PupilaError(
            f"Answers {ours.shape} cannot be compared with those of {name!r}, {others.shape}: "
            f"both must be (images, columns) of the same images, at least {LEAST_IMAGES}."
        )
    means = None if colours is None else np.asarray(colours, np.float64)

    def interval(figure: Callable[[Floats], Floats]) -> Estimate:
        return bootstrap(figure, len(ours), patients, seed)

    def explained(values: Floats) -> Estimate | None:
        if means is None:
            return None
        return interval(partial(variance_explained, means, values))

    return Fidelity(
        reference=name,
        images=len(ours),
        correlation=interval(partial(correlation, ours, others)),
        labels=share(np.asarray(same, np.bool_), patients),
        mean_difference=interval(partial(mean_difference, ours, others)),
        colour=explained(ours),
        reference_colour=explained(others),
    )


def logits_of(probabilities: ArrayLike, positive: int = 0) -> Floats:
    """Return the logits of probabilities `(images, classes)`.

    With two classes, these are the log-odds of the column `positive`, `(images, 1)`. With more,
    they are log-probabilities minus their mean over the classes, `(images, classes)`.
    """
    logs = np.log(np.clip(np.asarray(probabilities, np.float64), FLOOR, 1 - FLOOR))
    if logs.shape[1] == 2:
        return logs[:, [positive]] - logs[:, [1 - positive]]
    return logs - logs.mean(axis=1, keepdims=True)


def bootstrap(
    figure: Callable[[Floats], Floats],
    images: int,
    patients: ArrayLike | None = None,
    seed: int = 0,
) -> Estimate:
    """Return a figure with its percentile bootstrap interval, widened to include the figure.

    `figure` is a function that computes the figure of each resample, `(draws,)`. It gets counts
    `(draws, images)`, which say how often each resample contains each image. With `patients`
    `(images,)`, whole patients are drawn instead of images.
    """
    value = float(figure(np.ones((1, images)))[0])
    draws = np.concatenate([figure(counts) for counts in resamples(images, seed, patients)])
    low, high = (float(end) for end in np.quantile(draws, [0.025, 0.975]))
    by = "" if patients is None else f", {BY_PATIENT}"
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        method=f"percentile bootstrap, {DRAWS} draws, seed {seed}{by}",
    )


def correlation(ours: Floats, theirs: Floats, counts: Floats) -> Floats:
    """Return the Pearson correlation of two models' logits in each resample, `(draws,)`.

    `ours` and `theirs` are `(images, columns)`; the correlation is averaged over columns. A column
    that is constant in either model counts as 0. `counts` `(draws, images)` says how often each
    resample contains each image.
    """
    total = counts.sum(axis=1, keepdims=True)
    # differences from the mean of all images keep the sums of squares exact
    x, y = ours - ours.mean(axis=0), theirs - theirs.mean(axis=0)
    mean_x, mean_y = counts @ x / total, counts @ y / total
    shared = counts @ (x * y) / total - mean_x * mean_y
    spread = (counts @ (x * x) / total - mean_x**2) * (counts @ (y * y) / total - mean_y**2)
    varied = spread > _ROUNDING * (x * x).mean(axis=0) * (y * y).mean(axis=0)
    by_column = np.where(varied, shared / np.sqrt(np.where(varied, spread, 1)), 0)
    return np.clip(by_column, -1, 1).mean(axis=1)


def mean_difference(ours: Floats, theirs: Floats, counts: Floats) -> Floats:
    """Return the mean difference of two models' logits in each resample, `(draws,)`.

    `ours` and `theirs` are `(images, columns)`. With one column, the result is the mean of
    `ours - theirs`. With several columns, it is the absolute value of each column's mean, averaged
    over columns. `counts` `(draws, images)` says how often each resample contains each image.
    """
    means = counts @ (ours - theirs) / counts.sum(axis=1, keepdims=True)
    return means[:, 0] if means.shape[1] == 1 else np.abs(means).mean(axis=1)


def variance_explained(colours: Floats, logits: Floats, counts: Floats) -> Floats:
    """Return R², the part of the logits' variance that colours explain, per resample `(draws,)`.

    Each column of `logits` `(images, columns)` is regressed linearly on `colours` `(images, 3)`,
    and R² is averaged over the columns. `counts` `(draws, images)` says how often each resample
    contains each image.
    """
    total = counts.sum(axis=1, keepdims=True)
    scale = colours.std(axis=0)
    x = (colours - colours.mean(axis=0)) / np.where(scale > 0, scale, 1)
    y = logits - logits.mean(axis=0)
    mean_x, mean_y = counts @ x / total, counts @ y / total
    products = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    squares = (counts @ products / total).reshape(len(counts), x.shape[1], x.shape[1])
    squares -= mean_x[:, :, None] * mean_x[:, None, :]
    inverse = cast("Floats", np.linalg.pinv(squares, rcond=1e-9, hermitian=True))
    shares: list[Floats] = []
    for column in range(y.shape[1]):
        shared = counts @ (x * y[:, [column]]) / total - mean_x * mean_y[:, [column]]
        variance = counts @ (y[:, column] ** 2) / total[:, 0] - mean_y[:, column] ** 2
        explained = (shared[:, None, :] @ inverse @ shared[:, :, None])[:, 0, 0]
        varied = variance > _ROUNDING * (y[:, column] ** 2).mean()
        shares.append(np.where(varied, explained / np.where(varied, variance, 1), 0))
    return np.clip(np.mean(shares, axis=0), 0, 1)


_ROUNDING = 1e-12
"""Variances below this fraction of the mean squared values are treated as rounding errors."""
