"""Turns raw outputs of models into answers.

A model has one of two kinds of output.

`heat-map`: `(rows, columns, channels)` with three or four channels for each name. The first holds
logits h. Their softmax over all positions is a distribution p, and the answer's centre is its mean,
which is finer than the map (Sun et al. 2018, "Integral human pose regression", equation 2):

    (x, y) = Σ p_i · ((column_i + ½) / columns, (row_i + ½) / rows)

The next two channels s give the half sizes, in percent of the sides:

    half = softplus(Σ p_i · s_i) / 100

In an int8 model, all channels share one scale, which is about 0.15 if logits span 40. With exp, an
error of e in s would be a relative error of e in the size: up to 8 % from rounding alone. Softplus
is linear above 2 or so, so the relative error is e / s: 1.5 % for a half size of 5 % of the side.
Percents have the range of the logits; as fractions, all sizes would round to the same number.

The fourth channel, if there is one, is averaged over all positions to n, the logit of one more cell
of the softmax: "nowhere". Presence is the probability of not being there:

    presence = sigmoid(log Σ exp h_i - n)

`coordinates`: for each name x, y, half width and half height as fractions of the sides, and
presence, if there is a fifth number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pupila import OutputSpec
from pupila_localization.columns import PARTS, Floats

HEAT_MAP, COORDINATES = "heat-map", "coordinates"
PERCENT = 100
"""Half sizes of a heat map are in percent of the sides."""

_LEAST_HALF = 1e-6
"""Smaller half sizes of coordinates are raised to this."""
_CHUNK_IMAGES = 256


def parts_of(output: OutputSpec) -> int | None:
    """Return how many numbers an output has for each name (and position); None if that is wrong."""
    names, size = len(output.classes), output.size
    if output.kind == HEAT_MAP:
        fits = size is not None and len(size) == 3 and size[2] in (3 * names, 4 * names)
        return size[2] // names if size and fits else None
    return output.columns // names if output.columns in (4 * names, 5 * names) else None


def expected_size(output: OutputSpec) -> str:
    """Return which sizes an output of this kind may have, in words."""
    names = len(output.classes)
    if output.kind == HEAT_MAP:
        return f"(rows, columns, {3 * names} or {4 * names})"
    return f"({4 * names},) or ({5 * names},)"


def grid(rows: int, columns: int) -> Floats:
    """Return x and y of the middle of each position of a map, `(positions, 2)`, as fractions."""
    y, x = np.mgrid[:rows, :columns]
    return np.stack([(x.ravel() + 0.5) / columns, (y.ravel() + 0.5) / rows], axis=1)


def decode(output: OutputSpec, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn raw outputs `(images, values)` into answers `(images, 5 · names)`."""
    parts = parts_of(output) or 0
    if output.kind == COORDINATES:
        return _of_coordinates(outputs.reshape(len(outputs), -1, parts))
    made = np.empty((len(outputs), len(output.classes) * len(PARTS)), np.float32)
    for start in range(0, len(outputs), _CHUNK_IMAGES):
        rows = slice(start, start + _CHUNK_IMAGES)
        made[rows] = _of_heat_map(output, outputs[rows], parts)
    return made


def _of_coordinates(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    answers = np.ones((*numbers.shape[:2], len(PARTS)), np.float32)
    answers[..., : numbers.shape[2]] = numbers
    answers[..., 2:4] = np.maximum(answers[..., 2:4], _LEAST_HALF)
    answers[..., 4] = np.clip(answers[..., 4], 0, 1)
    return answers.reshape(len(numbers), -1)


def _of_heat_map(output: OutputSpec, outputs: NDArray[np.float32], parts: int) -> Floats:
    rows, columns, _ = output.size or (0, 0, 0)
    shape = (len(outputs), rows * columns, len(output.classes), parts)
    numbers = np.asarray(outputs, np.float64).reshape(shape)
    heat = numbers[..., 0]
    highest = heat.max(axis=1, keepdims=True)
    raised = np.exp(heat - highest)
    total = raised.sum(axis=1)
    heated = raised / total[:, np.newaxis]
    centre = heated.transpose(0, 2, 1) @ grid(rows, columns)
    percents = (heated[..., np.newaxis] * numbers[..., 1:3]).sum(axis=1)
    half = np.logaddexp(0, percents) / PERCENT
    presence = np.ones((len(outputs), len(output.classes)))
    if parts == 4:
        logits = highest[:, 0] + np.log(total) - numbers[..., 3].mean(axis=1)
        presence = (1 + np.tanh(logits / 2)) / 2
    answers = np.concatenate([centre, half, presence[..., np.newaxis]], axis=-1)
    return answers.reshape(len(outputs), -1)
