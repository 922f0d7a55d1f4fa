"""Alterations of light and colour. Each takes and gives values 0..255, `(n, height, width, 3)`."""

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
"""Luma of ITU-R BT.601, as Pillow computes grey."""

_BALANCE_STOPS = {"mild": 0.15, "middle": 0.35, "strong": 0.7}
"""Red up and blue down, or the other way round."""
_GAMMA_STOPS = {"mild": 0.3, "middle": 0.7, "strong": 1.2}
"""Exponent 2^±stops."""
_EXPOSURE_STOPS = {"mild": 0.3, "middle": 0.6, "strong": 1.0}
_HUE_DEGREES = {"mild": 8, "middle": 20, "strong": 35}
_GREY_PART = {"mild": 0.5, "middle": 0.85, "strong": 1.0}
_MATRIX = {"mild": 0.05, "middle": 0.12, "strong": 0.22}
"""Standard deviation of the parts that a channel takes from each of the others."""
_VIGNETTE = {"mild": 0.3, "middle": 0.6, "strong": 0.9}
"""Part of the light that a corner lacks."""
_ILLUMINATION = {"mild": 0.2, "middle": 0.45, "strong": 0.7}
"""Part of the light that the edge of one side lacks, and that of the other has too much."""


def white_balance(images: Images, severity: Severity, random: Random) -> Floats:
    """Make the light warmer or colder."""
    stops = _either_way(random, len(images)) * _BALANCE_STOPS[severity]
    gains = np.exp2(stops[:, None] * np.array([1, 0, -1]))
    return images * gains.astype(np.float32)[:, None, None, :]


def gamma(images: Images, severity: Severity, random: Random) -> Floats:
    """Raise values, of 0..1, to a power above or below 1."""
    powers = np.exp2(_either_way(random, len(images)) * _GAMMA_STOPS[severity])
    return _looked_up(images, powers, lambda values, power: 255 * (values / 255) ** power)


def exposure(images: Images, severity: Severity, random: Random) -> Floats:
    """Make images brighter or darker."""
    gains = np.exp2(_either_way(random, len(images)) * _EXPOSURE_STOPS[severity])
    return images * gains.astype(np.float32)[:, None, None, None]


def hue(images: Images, severity: Severity, random: Random) -> Floats:
    """Turn colours round the grey axis of the RGB cube (Rodrigues' formula)."""
    angle = math.radians(_HUE_DEGREES[severity])
    axis = np.full((3, 3), 1 / 3)
    crossed = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    signs = _either_way(random, len(images))[:, None, None]
    turned = math.cos(angle) * np.eye(3) + (1 - math.cos(angle)) * axis
    return _mixed(images, turned + signs * math.sin(angle) * crossed)


def grey(images: Images, severity: Severity, random: Random) -> Floats:
    """Take colour away."""
    del random
    part = np.float32(_GREY_PART[severity])
    lumas = (images * _GREY).sum(axis=3, keepdims=True)
    return (1 - part) * images + part * lumas


def camera_matrix(images: Images, severity: Severity, random: Random) -> Floats:
    """Mix the channels as another camera's sensor does; each row of the matrix sums to 1."""
    matrices = random.normal(0, _MATRIX[severity], (len(images), 3, 3))
    matrices[:, range(3), range(3)] = 0
    matrices[:, range(3), range(3)] = 1 - matrices.sum(axis=2)
    return _mixed(images, matrices)


def vignette(images: Images, severity: Severity, random: Random) -> Floats:
    """Darken with the square of the distance from the centre, most in the corners."""
    del random
    across, down = _places(images)
    light = 1 - _VIGNETTE[severity] * (across**2 + down**2) / 2
    return images * light.astype(np.float32)[None, :, :, None]


def illumination(images: Images, severity: Severity, random: Random) -> Floats:
    """Let the light fall off evenly, in any direction."""
    across, down = _places(images)
    angles = random.uniform(0, 2 * math.pi, (len(images), 1, 1))
    ramps = 1 + _ILLUMINATION[severity] * (np.cos(angles) * across + np.sin(angles) * down)
    return images * np.clip(ramps, 0, None).astype(np.float32)[..., None]


def _either_way(random: Random, images: int) -> NDArray[np.float64]:
    """Draw -1 or 1 for each image."""
    return random.integers(0, 2, images) * 2.0 - 1


def _places(images: Images) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return places of the pixels across and down, -1..1, that broadcast to an image."""
    _, height, width, _ = images.shape
    return np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]


def _mixed(images: Images, matrices: NDArray[np.float64]) -> Floats:
    """Return the channels of each image mixed by its own matrix, (output, input)."""
    weights = matrices.astype(np.float32)[:, None, None]
    parts = [images[..., [channel]] * weights[..., channel] for channel in range(3)]
    return parts[0] + parts[1] + parts[2]


def _looked_up(
    images: Images,
    amounts: NDArray[np.float64],
    curve: Callable[[NDArray[np.float64], float], NDArray[np.float64]],
) -> Floats:
    """Apply a curve of 256 values to each image, with its own amount."""
    values = np.arange(256, dtype=np.float64)
    curves = [curve(values, float(amount)).astype(np.float32) for amount in amounts]
    return np.stack([each[image] for each, image in zip(curves, images, strict=True)])
