"""Accepted images as they come from a bad day: a gate should know them all the same.

Each alteration has one strength, chosen so that a person still sees at once what the image shows.
They are of the kinds of Hendrycks and Dietterich 2019 (arXiv 1903.12261), and those that a clinic's
software makes: turned, mirrored, cropped, grey.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

from pupila.images import decode
from pupila.runtime import Progress
from pupila.shift.detail import blurred
from pupila_flows.data.generated import whole

_BLUR_PART = 0.02
"""Standard deviation of the blur, of the shorter side: 4.5 of 224 pixels, vessels are gone."""
_DARK = 0.35
"""Factor of all values: an exposure 1.5 stops too short."""
_BRIGHT = 1.8
"""Factor of all values: 0.85 stops too long, the brightest parts are white."""
_TILT_DEGREES = 15
"""A head that is not upright."""
_CROP_PART = 0.6
"""Sides of the central part that is left: 36 % of the picture."""
_LOW_QUALITY = 10
"""JPEG quality at which blocks of 8 pixels show."""
_QUALITY = 95
"""JPEG quality of all others: what is measured is the alteration."""
_SUBSAMPLING = 0
"""Colours are kept at every pixel."""

Alteration = Callable[[Image.Image], Image.Image]


def _blurred(image: Image.Image) -> Image.Image:
    return blurred(image, _BLUR_PART)


def _dark(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(_DARK)


def _overexposed(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(_BRIGHT)


def _grey(image: Image.Image) -> Image.Image:
    return image.convert("L").convert("RGB")


def _turned(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.ROTATE_90)


def _tilted(image: Image.Image) -> Image.Image:
    return image.rotate(_TILT_DEGREES, Image.Resampling.BICUBIC)


def _cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    left, top = (round(side * (1 - _CROP_PART) / 2) for side in image.size)
    return image.crop((left, top, width - left, height - top))


def _as_it_is(image: Image.Image) -> Image.Image:
    return image


ALTERATIONS: dict[str, Alteration] = {
    "blur": _blurred,
    "dark": _dark,
    "overexposed": _overexposed,
    "grey": _grey,
    "rotated 90°": _turned,
    "rotated 15°": _tilted,
    "cropped to 60 %": _cropped,
    "mirrored": ImageOps.mirror,
    "JPEG quality 10": _as_it_is,
}


def strengths() -> list[object]:
    """Return all that the altered images depend on beside the images."""
    of_pixels = [_BLUR_PART, _DARK, _BRIGHT, _TILT_DEGREES, _CROP_PART]
    return [list(ALTERATIONS), *of_pixels, _LOW_QUALITY, _QUALITY, _SUBSAMPLING]


def write_altered(paths: Sequence[Path], folder: Path, progress: Progress) -> None:
    """Write every alteration of every image; the folder appears whole or not at all."""
    with whole(folder) as draft:
        for number in range(len(ALTERATIONS)):
            (draft / str(number)).mkdir()
        for row, path in enumerate(paths):
            _write_each(decode(path), draft, f"{row:05}-{path.stem}.jpg")
            progress(row + 1, len(paths), "images altered")


def _write_each(image: Image.Image, folder: Path, file_name: str) -> None:
    for number, (name, alter) in enumerate(ALTERATIONS.items()):
        quality = _LOW_QUALITY if name == "JPEG quality 10" else _QUALITY
        file = folder / str(number) / file_name
        alter(image).save(file, quality=quality, subsampling=_SUBSAMPLING)


def altered(folder: Path) -> list[tuple[str, str, str]]:
    """List file, alteration and split of what `write_altered` wrote."""
    return [
        (str(file), name, "test")
        for number, name in enumerate(ALTERATIONS)
        for file in sorted((folder / str(number)).iterdir())
    ]
