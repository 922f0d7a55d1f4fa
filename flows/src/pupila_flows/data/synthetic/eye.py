"""The parameters of a synthetic eye, drawn at random; only the cup depends on the label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CUP_TO_DISC = {"glaucoma": (0.71, 0.075), "normal": (0.41, 0.075)}
"""Mean and standard deviation of the vertical cup-to-disc ratio.

The best threshold, 0.56, is two standard deviations from both means, so it misclassifies 2.3 % of
the eyes.
"""

CLASSES = tuple(CUP_TO_DISC)

_RATIO_LIMITS = (0.12, 0.92)

_FUNDI = np.array(
    [[0.80, 0.30, 0.10], [0.90, 0.58, 0.22], [0.46, 0.39, 0.20], [0.80, 0.38, 0.30]], np.float32
)
"""Colours of reddish, yellow, olive and pink fundi, RGB 0..1; every eye has a mixture of them."""

_RIM = np.array([1.0, 0.72, 0.42], np.float32)
_CUP = np.array([1.0, 0.95, 0.74], np.float32)

Colour = NDArray[np.float32]


@dataclass(frozen=True)
class Eye:
    """Parameters of an optic disc and its surroundings; lengths are fractions of the image side."""

    cup_to_disc_ratio: float
    """Vertical diameter of the cup divided by that of the disc."""
    centre: tuple[float, float]
    """Centre `(x, y)` of the disc, measured from the top left corner of the image."""
    radius: float
    """Half of the disc's height."""
    aspect: float
    """Width of the disc divided by its height."""
    cup_aspect: float
    """Width of the cup divided by its height, relative to `aspect`."""
    tilt: float
    """Rotation of disc and cup, in radians."""
    nasal: int
    """Direction of the nose: 1 if it lies to the right, -1 if to the left."""
    fundus: Colour
    rim: Colour
    cup: Colour
    crescent: float
    """Strength of the pale crescent beside the disc, 0..1; most eyes have none."""
    mottling: float
    """Contrast of the blotches that the choroid makes on the fundus."""
    tortuosity: float
    """How much the vessels wind, in radians."""
    vessel_width: float
    """Width of the widest vein."""
    blur: float
    """Radius of the photograph's blur."""
    noise: float
    """Standard deviation of the sensor's noise, for pixels in 0..1."""

    @property
    def cup_radius(self) -> float:
        """Half of the cup's height."""
        return self.radius * self.cup_to_disc_ratio

    @property
    def cup_centre(self) -> tuple[float, float]:
        """Centre of the cup, shifted to the disc's temporal side by a third of the free space."""
        x, y = self.centre
        return x - self.nasal * (self.radius - self.cup_radius) * self.aspect / 3, y

    def mean_colour(self, cup_to_disc_ratio: float) -> Colour:
        """Return the mean colour that the image would have with the ratio `cup_to_disc_ratio`."""
        disc = np.pi * self.radius**2 * self.aspect
        cup = disc * cup_to_disc_ratio**2 * self.cup_aspect
        return self.fundus * (1 - disc) + self.rim * (disc - cup) + self.cup * cup


def draw_eye(label: str, random: np.random.Generator) -> Eye:
    """Return random parameters of an eye; only the cup-to-disc ratio depends on the class."""
    fundus = _draw_fundus(random)
    rim = _blend(fundus, _RIM * fundus.max() ** 0.5, random.uniform(0.5, 0.9))
    cup = _blend(rim, _CUP * rim.max() ** 0.5, random.uniform(0.6, 0.95))
    return Eye(
        cup_to_disc_ratio=float(np.clip(random.normal(*CUP_TO_DISC[label]), *_RATIO_LIMITS)),
        centre=(random.uniform(0.42, 0.58), random.uniform(0.42, 0.58)),
        radius=random.uniform(0.23, 0.33),
        aspect=random.uniform(0.86, 1.0),
        cup_aspect=random.uniform(0.92, 1.04),
        tilt=random.normal(0, 0.12),
        nasal=int(random.choice([-1, 1])),
        fundus=fundus,
        rim=rim,
        cup=cup,
        crescent=max(0.0, random.uniform(-1.5, 1)),
        mottling=random.uniform(0.04, 0.18),
        tortuosity=random.uniform(0.1, 0.4),
        vessel_width=random.uniform(0.03, 0.05),
        blur=random.uniform(0.001, 0.007),
        noise=random.uniform(0.004, 0.02),
    )


def _draw_fundus(random: np.random.Generator) -> Colour:
    mixture = random.dirichlet(np.full(len(_FUNDI), 0.6)).astype(np.float32)
    return mixture @ _FUNDI * np.float32(random.uniform(0.75, 1.1))


def _blend(one: Colour, other: Colour, fraction: float) -> Colour:
    return one + (other - one) * np.float32(fraction)
