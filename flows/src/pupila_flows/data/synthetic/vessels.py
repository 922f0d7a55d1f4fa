"""Blood vessels: tapering curves that leave the disc upwards and downwards and branch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pupila_flows.data.synthetic.eye import Eye

_STEPS = 28
_STEP = 0.035
"""Distance between a vessel's points, as a fraction of the image side.

`_STEPS` points are enough to leave the image from any start.
"""

_THINNEST = 0.006
"""Branches thinner than this fraction of the image side are not drawn."""

_OVERSAMPLING = 2

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Vessel:
    """A blood vessel: its centre line `(steps, 2)`, x first, and its widths `(steps,)`.

    All lengths are fractions of the image side.
    """

    points: Points
    widths: NDArray[np.float64]

    @property
    def outline(self) -> Points:
        """The outline of the vessel as a polygon: along one side and back along the other."""
        along = np.gradient(self.points, axis=0)
        across = along[:, ::-1] * (-1, 1) / np.hypot(along[:, :1], along[:, 1:])
        half = across * self.widths[:, None] / 2
        return np.concatenate([self.points + half, (self.points - half)[::-1]])


def arteries(eye: Eye, random: np.random.Generator) -> list[Vessel]:
    """Generate the arteries, which are narrower than the veins."""
    return list(_tree(eye, 0.72 * eye.vessel_width, 0.15, random))


def veins(eye: Eye, random: np.random.Generator) -> list[Vessel]:
    """Generate the veins, which are wider than the arteries."""
    return list(_tree(eye, eye.vessel_width, -0.15, random))


def paint(vessels: list[Vessel], size: int, scale: float = 1) -> NDArray[np.float32]:
    """Return how much of each pixel the vessels cover, `(size, size)` in 0..1.

    `scale` multiplies the width of every vessel.
    """
    canvas = Image.new("L", (size * _OVERSAMPLING, size * _OVERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    for vessel in vessels:
        wide = Vessel(vessel.points, vessel.widths * scale)
        corners = wide.outline * canvas.width
        pen.polygon([(x, y) for x, y in corners.tolist()], fill=255)
    return np.asarray(canvas.reduce(_OVERSAMPLING), np.float32) / 255


def _tree(eye: Eye, width: float, shift: float, random: np.random.Generator) -> Iterator[Vessel]:
    """Grow two trunks, one up and one down, that soon fork, and small vessels in all directions."""
    x, y = eye.cup_centre
    edge = 0.75 * eye.cup_radius * eye.aspect
    middle = np.array([x + eye.nasal * edge + shift * eye.radius, y])
    root = middle + random.normal(0, 0.08 * eye.radius, 2)
    for upright in (-math.pi / 2, math.pi / 2):
        heading = upright + random.normal(0, 0.35)
        fork_at = int(random.integers(3, 9))
        yield from _grow(eye, root, heading, width * random.uniform(0.8, 1), fork_at, random)
    for _ in range(random.integers(2, 5)):
        thin = width * random.uniform(0.18, 0.35)
        yield from _grow(eye, root, random.uniform(0, 2 * math.pi), thin, _STEPS // 2, random)


def _grow(
    eye: Eye,
    start: Points,
    heading: float,
    width: float,
    fork_at: int,
    random: np.random.Generator,
) -> Iterator[Vessel]:
    """Grow a winding vessel from `start` that forks at point number `fork_at`, and its branches."""
    phase, wave = random.uniform(0, 2 * math.pi), random.uniform(6, 14)
    steps = np.arange(_STEPS)
    winding = eye.tortuosity * np.sin(phase + 2 * math.pi * steps / wave)
    fork = random.choice([-1, 1]) * random.uniform(0.3, 0.7)
    headings = heading + winding - winding[0] + np.cumsum(random.normal(0, 0.06, _STEPS))
    headings += 0.5 * fork * (steps > fork_at)
    moves = _STEP * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    points = start + np.cumsum(moves, axis=0) - moves[0]
    yield Vessel(points, width * np.linspace(1, 0.4, _STEPS))
    thinner = width * random.uniform(0.5, 0.85)
    if thinner > _THINNEST:
        later = int(random.integers(_STEPS // 4, _STEPS // 2))
        yield from _grow(eye, points[fork_at], headings[fork_at] - fork, thinner, later, random)
