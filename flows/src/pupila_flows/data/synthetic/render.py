"""Renders the photograph of an eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pupila_flows.data.synthetic.eye import Eye
from pupila_flows.data.synthetic.vessels import arteries, paint, veins

_AVERAGE_RATIO = 0.56
"""Cup-to-disc ratio for which `_expose` computes the mean colour of every image."""

_ARTERY_ABSORBS = np.array([0.16, 0.52, 0.60], np.float32)
_VEIN_ABSORBS = np.array([0.36, 0.68, 0.66], np.float32)
"""Fractions of red, green and blue light that the blood in veins absorbs."""

_GRAINS = (6, 15, 40)
"""Numbers of choroid blotches along an image side, from coarse to fine."""

Plane = NDArray[np.float32]
"""One value per pixel, `(size, size)`."""

Picture = NDArray[np.float32]
"""An image, `(size, size, 3)`, RGB 0..1."""


def render(eye: Eye, size: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return the photograph of an eye, uint8 `(size, size, 3)`."""
    picture = _tissue(eye, size, random)
    picture *= _blood(eye, size, random)
    picture *= _illumination(eye, size, random)[..., None]
    _expose(picture, eye)
    return _capture(picture, eye, random)


def _tissue(eye: Eye, size: int, random: np.random.Generator) -> Picture:
    """Paint fundus, crescent, disc and cup on top of each other."""
    disc = _distance(eye, size, eye.centre, eye.radius, eye.aspect, random)
    cup_aspect = eye.aspect * eye.cup_aspect
    cup = _distance(eye, size, eye.cup_centre, eye.cup_radius, cup_aspect, random)
    blotches = _blotches(eye, size, random)
    depth = np.clip(cup / np.float32(eye.cup_radius), 0, 1)
    picture = eye.fundus * blotches[..., None]
    _lay(picture, eye.rim, _crescent(eye, size, blotches))
    _lay(picture, eye.rim, _inside(disc, random.uniform(0.012, 0.035)) * _fullness(eye, size))
    _lay(picture, eye.cup, _inside(cup, random.uniform(0.03, 0.08)) * (0.75 + 0.25 * depth))
    return picture


def _lay(picture: Picture, colour: NDArray[np.float32], cover: Plane) -> None:
    """Paint `colour` over the picture in place; `cover` is its opacity, 0..1."""
    picture += (colour - picture) * cover[..., None]


def _axes(size: int) -> tuple[Plane, Plane]:
    """Return pixel coordinates in 0..1: x as `(1, size)` and y as `(size, 1)`."""
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    return line[None, :], line[:, None]


def _distance(
    eye: Eye,
    size: int,
    centre: tuple[float, float],
    radius: float,
    aspect: float,
    random: np.random.Generator,
) -> Plane:
    """Return how far inside an uneven ellipse each pixel lies; negative outside.

    Only odd harmonics distort its outline. They leave every diameter unchanged, and so the
    cup-to-disc ratio.
    """
    x, y = _axes(size)
    right, down = x - centre[0], y - centre[1]
    cosine, sine = np.float32(np.cos(eye.tilt)), np.float32(np.sin(eye.tilt))
    across = (right * cosine + down * sine) / (radius * aspect)
    along = (down * cosine - right * sine) / radius
    angle = np.arctan2(along, across)
    uneven = random.normal(0, 0.02) * np.cos(3 * angle + random.uniform(0, 2 * np.pi))
    uneven += random.normal(0, 0.01) * np.cos(5 * angle + random.uniform(0, 2 * np.pi))
    return (1 + uneven - np.hypot(across, along)) * np.float32(radius)


def _inside(distance: Plane, softness: float) -> Plane:
    """Return a mask: 1 inside and 0 outside, with an edge about `softness` wide."""
    return 0.5 + 0.5 * np.tanh(distance * np.float32(2 / softness))


def _fullness(eye: Eye, size: int) -> Plane:
    """Return how pale the disc's rim is: least towards the nose, under more nerve fibres."""
    x, _ = _axes(size)
    towards_nose = eye.nasal * (x - eye.centre[0]) / np.float32(eye.radius)
    return np.clip(0.8 - 0.25 * towards_nose, 0, 1)


def _crescent(eye: Eye, size: int, blotches: Plane) -> Plane:
    """Return the opacity, 0..1, of a ragged crescent on the temporal side of the disc."""
    x, y = _axes(size)
    middle = eye.centre[0] - eye.nasal * 0.12 * eye.radius
    across = (x - middle) / (eye.radius * eye.aspect * 1.12)
    along = (y - eye.centre[1]) / (eye.radius * 1.06)
    distance = (blotches - np.hypot(across, along)) * np.float32(eye.radius)
    return np.float32(0.7 * eye.crescent) * _inside(distance, 0.03)


def _blotches(eye: Eye, size: int, random: np.random.Generator) -> Plane:
    """Return smooth noise around 1; finer noise is fainter."""
    blotches = np.ones((size, size), np.float32)
    for grain in _GRAINS:
        values = random.normal(0, eye.mottling * grain**-0.5, (grain, grain))
        coarse = Image.fromarray(values.astype(np.float32))
        blotches += np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
    return blotches


def _blood(eye: Eye, size: int, random: np.random.Generator) -> Picture:
    """Return the fraction of light that passes the blood vessels, by pixel and channel."""
    red, dark = arteries(eye, random), veins(eye, random)
    depth = np.float32(random.uniform(0.7, 1.05))
    artery = paint(red, size) - np.float32(0.4) * paint(red, size, scale=0.3)
    passing = 1 - paint(dark, size)[..., None] * (depth * _VEIN_ABSORBS)
    return passing * (1 - artery[..., None] * (depth * _ARTERY_ABSORBS))


def _illumination(eye: Eye, size: int, random: np.random.Generator) -> Plane:
    """Return the light's brightness: a slope, shade in the corners, and a glow round the disc."""
    x, y = _axes(size)
    slope_x, slope_y = random.normal(0, 0.22, 2).astype(np.float32)
    light = 1 + slope_x * (x - 0.5) + slope_y * (y - 0.5)
    light -= np.float32(random.uniform(0, 0.6)) * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    from_disc = ((x - eye.centre[0]) ** 2 + (y - eye.centre[1]) ** 2) / (1.7 * eye.radius) ** 2
    return light * (1 + np.float32(random.uniform(0, 0.25)) * np.exp(-from_disc))


def _expose(picture: Picture, eye: Eye) -> None:
    """Give the picture the mean colour that it would have with an average cup, as a camera does.

    Otherwise the mean colour would reveal the label: a large cup is pale and brightens its image.
    """
    picture *= eye.mean_colour(_AVERAGE_RATIO) / picture.mean(axis=(0, 1))


def _capture(picture: Picture, eye: Eye, random: np.random.Generator) -> NDArray[np.uint8]:
    """Blur the picture, add noise, and round to 8 bits."""
    size = len(picture)
    sharp = Image.fromarray(_to_8_bit(picture * 255))
    blurred = np.asarray(sharp.filter(ImageFilter.GaussianBlur(eye.blur * size)), np.float32)
    noise = random.standard_normal((size, size, 3), np.float32) * np.float32(255 * eye.noise)
    return _to_8_bit(blurred + noise)


def _to_8_bit(picture: Picture) -> NDArray[np.uint8]:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
