"""Losses on labels and on teachers' answers.

The label of a name has the centre t, half sizes, presence and a weight w: 1, or 0 without a label.
The student gives a distribution p over the positions g of its map, and from it the centre c and the
half sizes (see `pupila_localization.decoding`). A model that gives coordinates can be retrained
too: the terms with p are then left out. Lengths are in units of the width. If the thing is there,
the label's loss is

    3 · |c - t| + 5 · Σ p_i |g_i - t|² + 0.1 · mean |log half - log true half|

The second term keeps the map narrow: the mean alone may be right while p has several peaks, which
is wrong on other images and less exact in int8. Its weight and the first one's are those with which
a locator was tried beforehand (a median error of 0.45 % of the width on IDRiD). The sizes have a
weight at which their term is as large as the first one once errors are small. If the map has a cell
"nowhere", the cross-entropy of presence is added, and it is all that is left for an absent thing.

The loss on teachers' answers has the same terms without the second, with absolute differences of x
and y for the first, and

    0.1 · T² · KL(q ‖ softmax(h/T))

with the student's logits h and the teachers' softened heat map q, resampled to the student's map.
The factor makes a typical difference of two maps, some tenths of a nat, as large as the others.
With α = `alpha` the loss is

    α · w · label's loss + (1 - α · w) · teachers' loss

so an unlabelled image is learned from the teachers alone. Everything is averaged over names.

Targets have these columns: for each name x, y, half width, half height, presence and w; the aspect
height / width of the file; the teachers' answers, five for each name; the teachers' heat maps as
logits T · log q, one position after the other for each name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.keras_files import import_keras
from pupila.training.loss import Loss
from pupila_localization.columns import PARTS
from pupila_localization.located import Located, Map, MapSize

keras = import_keras()
ops = keras.ops

LABEL_PARTS = (*PARTS, "weight")

_DISTANCE, _SPREAD, _SIZE, _HEAT = 3.0, 5.0, 0.1, 0.1
_LEAST = 1e-8
"""Added under square roots and logarithms, whose gradients are infinite at 0."""


@dataclass(frozen=True)
class TargetParts:
    """Targets of a batch, by what they mean."""

    label: Any
    """`(batch, names, 6)`: see `LABEL_PARTS`."""
    scale: Any
    """Units of x and y as fractions of the width, `(batch, 1, 2)`."""
    taught: Any
    """The teachers' answers, `(batch, names, 5)`; None without teachers."""
    heat: Any
    """The teachers' heat maps and whatever follows, `(batch, columns)`."""

    @classmethod
    def of(cls, targets: Any, names: int) -> TargetParts:
        labels, answers = label_columns(names), names * len(PARTS)
        taught = targets[..., labels : labels + answers]
        aspect = targets[..., labels - 1 : labels, None]
        has_teacher = targets.shape[-1] >= labels + answers
        return cls(
            label=ops.reshape(targets[..., : labels - 1], (-1, names, len(LABEL_PARTS))),
            scale=ops.concatenate([ops.ones_like(aspect), aspect], axis=-1),
            taught=ops.reshape(taught, (-1, names, len(PARTS))) if has_teacher else None,
            heat=targets[..., labels + answers :],
        )


def label_columns(names: int) -> int:
    """Return how many columns of targets hold the label."""
    return names * len(LABEL_PARTS) + 1


def label_loss(names: int) -> Loss:
    """Return the loss on labels alone, weighted by w, for each image `(batch,)`."""

    def loss(targets: Any, outputs: Any) -> Any:
        parts, student = TargetParts.of(targets, names), Located.of(outputs, names)
        return ops.mean(parts.label[..., -1] * _label_terms(parts, student), axis=-1)

    return loss


def distillation_loss(
    names: int, alpha: float, temperature: float, teachers_map: MapSize | None
) -> Loss:
    """Return the loss on labels and teachers of the module docstring, for each image `(batch,)`.

    `teachers_map` is the size of the teachers' heat maps; None if targets have none.
    """

    def loss(targets: Any, outputs: Any) -> Any:
        parts, student = TargetParts.of(targets, names), Located.of(outputs, names)
        labelled = alpha * parts.label[..., -1]
        taught = _teacher_terms(parts, student, temperature, teachers_map)
        both = labelled * _label_terms(parts, student) + (1 - labelled) * taught
        return ops.mean(both, axis=-1)

    return loss


def right_metric(names: int) -> Loss:
    """Return a metric that is 1 for each image in which every name is found, else 0.

    Where a label is missing, the teachers' answer takes its place; without teachers, the image
    counts as right.
    """

    def right(targets: Any, outputs: Any) -> Any:
        parts, student = TargetParts.of(targets, names), Located.of(outputs, names)
        labelled = parts.label[..., -1] > 0
        by_label = _is_found(parts.label, parts.scale, student)
        by_teacher = ops.ones_like(by_label)
        if parts.taught is not None:
            by_teacher = _is_found(parts.taught, parts.scale, student)
        every = ops.all(ops.where(labelled, by_label, by_teacher), axis=-1)
        return ops.cast(every, "float32")

    return right


def _label_terms(parts: TargetParts, student: Located) -> Any:
    """Return the label's loss of each name, `(batch, names)`."""
    truth, there = parts.label[..., :2], parts.label[..., 4]
    off = (student.centre - truth) * parts.scale
    distance = ops.sqrt(ops.sum(ops.square(off), axis=-1) + _LEAST)
    placed = _DISTANCE * distance
    if student.map is not None:
        apart = (student.map.grid - truth[..., None, :]) * parts.scale[..., None, :]
        squares = ops.sum(ops.square(apart), axis=-1)
        placed = placed + _SPREAD * ops.sum(student.map.probabilities * squares, axis=-1)
    placed = placed + _SIZE * _size_difference(student.half, parts.label[..., 2:4])
    return there * placed + _presence_loss(student.presence, there)


def _teacher_terms(
    parts: TargetParts, student: Located, temperature: float, teachers_map: MapSize | None
) -> Any:
    """Return the teachers' loss of each name, `(batch, names)`."""
    taught, there = parts.taught, parts.taught[..., 4]
    off = ops.abs(student.centre - taught[..., :2]) * parts.scale
    placed = _DISTANCE * ops.sum(off, axis=-1)
    placed = placed + _SIZE * _size_difference(student.half, taught[..., 2:4])
    if teachers_map is not None and student.map is not None:
        divergence = _divergence(parts.heat, student.map, temperature, teachers_map)
        placed = placed + _HEAT * temperature**2 * divergence
    return there * placed + _presence_loss(student.presence, there)


def _divergence(heat: Any, student: Map, temperature: float, size: MapSize) -> Any:
    """Return KL(q ‖ softmax(h/T)) in nats, `(batch, names)`."""
    names, positions = student.heat.shape[1], size[0] * size[1]
    logits = ops.reshape(heat[..., : names * positions], (-1, names, positions))
    teacher = resample(ops.softmax(logits / temperature, axis=-1), size, student.size)
    log_p = ops.log_softmax(student.heat / temperature, axis=-1)
    return ops.sum(teacher * (ops.log(teacher + _LEAST) - log_p), axis=-1)


def resample(heated: Any, size: MapSize, wanted: MapSize) -> Any:
    """Resample distributions over the positions of a map to a map of another size.

    They are `(batch, names, positions)`, before and after, and still sum to 1.
    """
    if size == wanted:
        return heated
    names = heated.shape[1]
    maps = ops.transpose(ops.reshape(heated, (-1, names, *size)), (0, 2, 3, 1))
    maps = ops.image.resize(maps, wanted, antialias=True, data_format="channels_last")
    flat = ops.reshape(ops.transpose(maps, (0, 3, 1, 2)), (-1, names, wanted[0] * wanted[1]))
    flat = ops.maximum(flat, 0)
    return flat / ops.sum(flat, axis=-1, keepdims=True)


def _size_difference(half: Any, other: Any) -> Any:
    difference = ops.log(half + _LEAST) - ops.log(other + _LEAST)
    return ops.mean(ops.abs(difference), axis=-1)


def _presence_loss(logit: Any, there: Any) -> Any:
    """Return the cross-entropy of presence; 0 if the student cannot say that something is absent.

    Written with softplus, as the logarithm of a probability would be infinite.
    """
    if logit is None:
        return ops.zeros_like(there)
    return there * ops.softplus(-logit) + (1 - there) * ops.softplus(logit)


def _is_found(truth: Any, scale: Any, student: Located) -> Any:
    """Return whether each name is found, `(batch, names)`, given five or more columns of truth."""
    off = (student.centre - truth[..., :2]) * scale
    distance = ops.sqrt(ops.sum(ops.square(off), axis=-1))
    near = distance <= ops.mean(truth[..., 2:4] * scale, axis=-1)
    said = ops.ones_like(near) if student.presence is None else student.presence >= 0
    return ops.where(truth[..., 4] >= 0.5, ops.logical_and(said, near), ops.logical_not(said))


def softened(
    heat: NDArray[np.float32], size: MapSize, wanted: MapSize, temperature: float
) -> NDArray[np.float32]:
    """Return the softmax of logits / T, resampled to a map of size `wanted`.

    Logits are `(images, names, positions)`.
    """
    heated = ops.softmax(ops.convert_to_tensor(heat, "float32") / temperature, axis=-1)
    return np.asarray(resample(heated, size, wanted))
