"""Alterations of light and colour.

Arrays are 0..255, `(n, height, width, 3)`. Results may lie outside that range or between integers;
`pupila.shift.alter` clips and rounds them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pupila.shift import Severity

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
Random = np.random.Generator

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in grey: the luma of ITU-R BT.601, as in Pillow."""

_BALANCE_STOPS = {"mild": 0.15, "middle": 0.35, "strong": 0.7}
"""Stops by which red is raised and blue is lowered, or the other way round."""
_GAMMA_STOPS = {"mild": 0.3, "middle": 0.7, "strong": 1.2}
"""Stops of the exponent, which is 2^stops or 2^-stops."""
_EXPOSURE_STOPS = {"mild": 0.3, "middle": 0.6, "strong": 1.0}
_HUE_DEGREES = {"mild": 8, "middle": 20, "strong": 35}
_GREY_FRACTION = {"mild": 0.5, "middle": 0.85, "strong": 1.0}
_MATRIX = {"mild": 0.05, "middle": 0.12, "strong": 0.22}
"""Standard deviation of the random weights of the other channels in a channel's mixture."""
_VIGNETTE = {"mild": 0.3, "middle": 0.6, "strong": 0.9}
"""Fraction of the light that the corners lose."""
_ILLUMINATION = {"mild": 0.2, "middle": 0.45, "strong": 0.7}
"""Fraction of the light that one edge loses and the opposite edge gains."""


def white_balance(images: Images, severity: Severity, random: Random) -> Floats:
    """Make the light warmer or colder: raise red and lower blue, or the other way round."""
    stops = _either_way(random, len(images)) * _BALANCE_STOPS[severity]
    gains = np.exp2(stops[:, None] * np.array([1, 0, -1]))
    return images * gains.astype(np.float32)[:, None, None, :]


def gamma(images: Images, severity: Severity, random: Random) -> Floats:
    """Change the tone curve: raise values, scaled to 0..1, to a power above or below 1."""
    powers = np.exp2(_either_way(random, len(images)) * _GAMMA_STOPS[severity])
    return _looked_up(images, powers, lambda values, power: 255 * (values / 255) ** power)


def exposure(images: Images, severity: Severity, random: Random) -> Floats:
    """Make images brighter or darker."""
    gains = np.exp2(_either_way(random, len(images)) * _EXPOSURE_STOPS[severity])
    return images * gains.astype(np.float32)[:, None, None, None]


def hue(images: Images, severity: Severity, random: Random) -> Floats:
    """Shift the hue: rotate colours about the grey axis of the RGB cube (Rodrigues' formula)."""
    angle = math.radians(_HUE_DEGREES[severity])
    axis = np.full((3, 3), 1 / 3)
    cross_product = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    signs = _either_way(random, len(images))[:, None, None]
    even = math.cos(angle) * np.eye(3) + (1 - math.cos(angle)) * axis
    return _mixed(images, even + signs * math.sin(angle) * cross_product)


def grey(images: Images, severity: Severity, random: Random) -> Floats:
    """Remove a part of the colour or all of it, as `severity` says."""
    del random
    fraction = np.float32(_GREY_FRACTION[severity])
    lumas = (images * _GREY).sum(axis=3, keepdims=True)
    return (1 - fraction) * images + fraction * lumas


def camera_matrix(images: Images, severity: Severity, random: Random) -> Floats:
    """Mix the channels as another camera's sensor would; each row of the matrix sums to 1."""
    matrices = random.normal(0, _MATRIX[severity], (len(images), 3, 3))
    matrices[:, range(3), range(3)] = 0
    matrices[:, range(3), range(3)] = 1 - matrices.sum(axis=2)
    return _mixed(images, matrices)


def vignette(images: Images, severity: Severity, random: Random) -> Floats:
    """Darken images towards the corners, by the square of the distance from the centre."""
    del random
    across, down = _positions(images)
    light = 1 - _VIGNETTE[severity] * (across**2 + down**2) / 2
    return images * light.astype(np.float32)[None, :, :, None]


def illumination(images: Images, severity: Severity, random: Random) -> Floats:
    """Light images from one side: a linear gradient in a random direction."""
    across, down = _positions(images)
    angles = random.uniform(0, 2 * math.pi, (len(images), 1, 1))
    ramps = 1 + _ILLUMINATION[severity] * (np.cos(angles) * across + np.sin(angles) * down)
    return images * np.clip(ramps, 0, None).astype(np.float32)[..., None]


def _either_way(random: Random, images: int) -> NDArray[np.float64]:
    """Return a random sign, -1 or 1, for each image."""
    return random.integers(0, 2, images) * 2.0 - 1


def _positions(images: Images) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return horizontal and vertical positions of the pixels, -1..1, that broadcast to an image."""
    _, height, width, _ = images.shape
    return np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]


def _mixed(images: Images, matrices: NDArray[np.float64]) -> Floats:
    """Mix the channels of each image by its own matrix (output, input)."""
    weights = matrices.astype(np.float32)[:, None, None]
    parts = [images[..., [channel]] * weights[..., channel] for channel in range(3)]
    return parts[0] + parts[1] + parts[2]


def _looked_up(
    images: Images,
    amounts: NDArray[np.float64],
    curve: Callable[[NDArray[np.float64], float], NDArray[np.float64]],
) -> Floats:
    """Apply a curve to each image, with the image's own amount, by a table of 256 values."""
    values = np.arange(256, dtype=np.float64)
    tables = [curve(values, float(amount)).astype(np.float32) for amount in amounts]
    return np.stack([table[image] for table, image in zip(tables, images, strict=True)])
