"""Decodes outputs of models with gradients, as `pupila_localization.decoding` does without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pupila.keras_files import import_keras
from pupila_localization.columns import PARTS
from pupila_localization.decoding import PERCENT, grid

keras = import_keras()
ops = keras.ops

_LEAST = 1e-6
"""Smallest half size of coordinates, and smallest probability of presence or absence."""

MapSize = tuple[int, int]
"""Rows and columns of a heat map."""


@dataclass(frozen=True)
class Map:
    """The heat maps of a batch."""

    heat: Any
    """Logits `(batch, names, positions)`."""
    probabilities: Any
    """Their softmax over the positions."""
    grid: Any
    """x and y of each position, `(positions, 2)`."""
    size: MapSize


@dataclass(frozen=True)
class Located:
    """What a batch of outputs says, decoded with gradients."""

    centre: Any
    """x and y, `(batch, names, 2)`."""
    half: Any
    """Half width and half height, `(batch, names, 2)`."""
    presence: Any
    """Logit of presence, `(batch, names)`; None if outputs cannot say that something is absent."""
    map: Map | None
    """The heat maps; None if outputs are coordinates."""

    @classmethod
    def of(cls, outputs: Any, names: int) -> Located:
        """Decode heat maps `(batch, rows, columns, channels)`, or coordinates `(batch, values)`."""
        decode = cls._of_heat_maps if len(outputs.shape) == 4 else cls._of_coordinates
        return decode(outputs, names)

    @classmethod
    def _of_heat_maps(cls, outputs: Any, names: int) -> Located:
        _, rows, columns, channels = outputs.shape
        parts = channels // names
        numbers = ops.reshape(outputs, (-1, rows * columns, names, parts))
        numbers = ops.transpose(numbers, (0, 2, 1, 3))
        heat = numbers[..., 0]
        probabilities = ops.softmax(heat, axis=-1)
        points = ops.convert_to_tensor(grid(rows, columns), "float32")
        raw = ops.sum(probabilities[..., None] * numbers[..., 1:3], axis=2)
        nowhere = ops.mean(numbers[..., 3], axis=-1) if parts == len(PARTS) - 1 else None
        return cls(
            centre=ops.matmul(probabilities, points),
            half=ops.softplus(raw) / PERCENT,
            presence=None if nowhere is None else ops.logsumexp(heat, axis=-1) - nowhere,
            map=Map(heat, probabilities, points, (rows, columns)),
        )

    @classmethod
    def _of_coordinates(cls, outputs: Any, names: int) -> Located:
        numbers = ops.reshape(outputs, (-1, names, outputs.shape[-1] // names))
        presence = None
        if numbers.shape[-1] == len(PARTS):
            probability = ops.clip(numbers[..., 4], _LEAST, 1 - _LEAST)
            presence = ops.log(probability) - ops.log(1 - probability)
        half = ops.maximum(numbers[..., 2:4], _LEAST)
        return cls(centre=numbers[..., :2], half=half, presence=presence, map=None)
