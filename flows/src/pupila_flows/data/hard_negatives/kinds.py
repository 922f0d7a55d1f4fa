"""Kinds of hard negatives, one function each.

Each function takes an image of the class that gets the hard negatives (`own`), an image of another
class (`other`) and a random generator. It returns an image as large as `own`. All images are
float32 `(height, width, 3)` in 0..255.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.float32]
Plane = NDArray[np.floating[Any]]
Random = np.random.Generator
Kind = Callable[[Pixels, Pixels, Random], Pixels]

_LIT = 16
"""A pixel whose brightest channel is below this value, of 255, counts as black surround."""


def recolour(own: Pixels, other: Pixels, random: Random) -> Pixels:
    """Give `own` the colours of `other`, as in Reinhard et al. 2001 (IEEE CG&A 21:34).

    Computes `(x - mean) / deviation · deviation' + mean'` in each channel. Unlike the paper, this
    function works in RGB and ignores black pixels in means and deviations: in the paper's
    logarithmic colour space a black surround would dominate.
    """
    del random
    mean, deviation = _colours(own)
    wanted_mean, wanted_deviation = _colours(other)
    return (own - mean) / np.maximum(deviation, 1) * wanted_deviation + wanted_mean


def mask(own: Pixels, other: Pixels, random: Random) -> Pixels:
    """Recolour `own` and blacken everything outside a disc, as in a whole fundus photograph."""
    height, width = own.shape[:2]
    radius = min(height, width) / 2 * random.uniform(0.85, 1.15)
    centre = (height / 2, width / 2)
    return recolour(own, other, random) * _disc(own, centre, (radius, radius))[..., None]


def draw_disc(own: Pixels, other: Pixels, random: Random) -> Pixels:
    """Draw a smooth, shaded disc on black or on `own`, like a moon, a fruit or a lamp."""
    height, width = own.shape[:2]
    radius = min(height, width) * random.uniform(0.2, 0.5)
    radii = radius * random.uniform(0.8, 1.0), radius * random.uniform(0.8, 1.0)
    centre = height * random.uniform(0.4, 0.6), width * random.uniform(0.4, 0.6)
    colour = _warm_or_grey(other, random)
    shade = 1 - random.uniform(0.1, 0.6) * _slope(own, random)
    texture = 1 + random.uniform(0, 0.12) * _soft_noise(own, random, steepness=1.2)
    disc = _disc(own, centre, radii)[..., None]
    ground = own if random.random() < 0.4 else np.float32(random.uniform(0, 12))
    return colour * (shade * texture)[..., None] * disc + ground * (1 - disc)


def fill(own: Pixels, other: Pixels, random: Random) -> Pixels:
    """Return an image of one or two colours of `other`, plain or as gradient, stripes or noise."""
    mean, deviation = _colours(other)
    first, second = (mean + random.normal(0, 1) * deviation for _ in range(2))
    patterns = (_flat, _slope, _stripes, _soft_noise)
    mixed = patterns[random.integers(len(patterns))](own, random)
    fraction = np.clip(mixed, 0, 1)[..., None]
    return first * (1 - fraction) + second * fraction


def draw_screen(own: Pixels, other: Pixels, random: Random) -> Pixels:
    """Draw windows with lines of text, dark or light, like a screenshot or a scanned letter."""
    height, width = own.shape[:2]
    dark = random.random() < 0.5
    paper, ink = ((18, 20, 26), (225, 228, 232)) if dark else ((246, 246, 243), (24, 26, 30))
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    accent = _colours(other)[0]
    for _ in range(int(random.integers(1, 5))):
        _draw_window(draw, (width, height), ink, tuple(int(channel) for channel in accent), random)
    return np.asarray(image, np.float32)


KINDS: dict[str, Kind] = {
    "recoloured": recolour,
    "masked": mask,
    "disc": draw_disc,
    "plain": fill,
    "screen": draw_screen,
}


def _colours(image: Pixels) -> tuple[Pixels, Pixels]:
    """Return mean and deviation of each channel over the pixels that are not black."""
    lit = image[image.max(axis=-1) >= _LIT]
    pixels = lit if len(lit) >= 0.01 * image[..., 0].size else image.reshape(-1, 3)
    return pixels.mean(axis=0), pixels.std(axis=0)


def _disc(like: Pixels, centre: tuple[float, float], radii: tuple[float, float]) -> Plane:
    """Return a mask that is 1 inside an ellipse and 0 outside, with an edge of about two pixels."""
    rows, columns = np.ogrid[: like.shape[0], : like.shape[1]]
    distance = np.hypot((rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1])
    return np.clip((1 - distance) * min(radii) / 2 + 0.5, 0, 1)


def _warm_or_grey(other: Pixels, random: Random) -> Pixels:
    """Return a random colour: red, orange, grey or the mean colour of `other`."""
    grey = np.full(3, random.uniform(110, 230), np.float32)
    red = random.uniform(150, 255)
    warm = np.array([red, red * random.uniform(0.2, 0.75), red * random.uniform(0, 0.35)])
    return (grey, warm, warm, _colours(other)[0])[random.integers(4)].astype(np.float32)


def _slope(like: Pixels, random: Random) -> Plane:
    """Return a plane that rises from 0 to 1 in a random direction."""
    height, width = like.shape[:2]
    angle = random.uniform(0, 2 * np.pi)
    rows, columns = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return 0.5 + (np.sin(angle) * rows + np.cos(angle) * columns) / (2 * np.sqrt(2))


def _flat(like: Pixels, random: Random) -> Plane:
    return np.full(like.shape[:2], random.random())


def _stripes(like: Pixels, random: Random) -> Plane:
    waves = random.uniform(3, 40)
    return 0.5 + 0.5 * np.sin(2 * np.pi * waves * _slope(like, random))


def _soft_noise(like: Pixels, random: Random, steepness: float = 1.0) -> Plane:
    """Return noise with a spectrum of 1/f**steepness, mean 0.5 and deviation 0.25."""
    height, width = like.shape[:2]
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.maximum(np.hypot(rows, columns), 1 / max(height, width))
    spectrum = np.fft.rfft2(random.normal(size=(height, width))) / frequency**steepness
    noise = np.fft.irfft2(spectrum, (height, width))
    return 0.5 + 0.25 * (noise - noise.mean()) / max(float(noise.std()), 1e-9)


def _draw_window(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    ink: tuple[int, int, int],
    accent: tuple[int, ...],
    random: Random,
) -> None:
    """Draw a frame with a title bar and lines of random text."""
    width, height = size
    left, top = int(width * random.uniform(0, 0.5)), int(height * random.uniform(0, 0.5))
    right, bottom = int(width * random.uniform(0.6, 1)), int(height * random.uniform(0.6, 1))
    step = max(8, int(height * random.uniform(0.04, 0.1)))
    draw.rectangle((left, top, right, bottom), outline=ink)
    draw.rectangle((left, top, right, top + step), fill=accent)
    font = ImageFont.load_default(size=step * 0.8)
    for line in range(top + int(1.5 * step), bottom - step, int(1.3 * step)):
        text = "".join(random.choice(list(string.ascii_letters + "     "), 40))
        letters = int((right - left) / (0.5 * step) * random.uniform(0.3, 1))
        draw.text((left + step // 2, line), text[:letters], fill=ink, font=font)
