"""Alterations of fine detail: focus, noise, compression, and the strength of frequencies."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pupila.shift import Severity

Images = NDArray[np.uint8]
Random = np.random.Generator
Picture = Image.Image

_BLUR_PART = {"mild": 0.0025, "middle": 0.005, "strong": 0.01}
"""Standard deviation, of the shorter side: at 224 pixels 0.6, 1.1 and 2.2."""
_SHARPENING = {"mild": 0.5, "middle": 1.0, "strong": 2.0}
"""How much of what a blur would take away is added."""
_SHARPENED_PART = 0.01
"""Standard deviation of that blur, of the shorter side."""
_NOISE = {"mild": 2, "middle": 4, "strong": 8}
"""Standard deviation, of 0..255."""
_QUALITY = {"mild": 60, "middle": 35, "strong": 15}
_RESOLUTION = {"mild": 0.7, "middle": 0.5, "strong": 0.3}
"""Part of the rows and columns that is left."""
_FOURIER = {"mild": 0.01, "middle": 0.05, "strong": 0.09}
"""β of Yang and Soatto 2020, "FDA: Fourier domain adaptation for semantic segmentation"."""


def blur(images: Images, severity: Severity, random: Random) -> Images:
    """Blur with a Gaussian, as Pillow does it: by three box filters."""
    del random
    part = _BLUR_PART[severity]
    return each(images, lambda image: blurred(image, part))


def sharpening(images: Images, severity: Severity, random: Random) -> NDArray[np.float32]:
    """Add what a blur takes away."""
    del random
    soft = each(images, lambda image: blurred(image, _SHARPENED_PART)).astype(np.float32)
    return images + np.float32(_SHARPENING[severity]) * (images - soft)


def noise(images: Images, severity: Severity, random: Random) -> NDArray[np.float32]:
    """Add Gaussian noise to each channel of each pixel."""
    shape: tuple[int, ...] = images.shape
    drawn = random.normal(0, 1, shape).astype(np.float32)
    return images + np.float32(_NOISE[severity]) * drawn


def jpeg(images: Images, severity: Severity, random: Random) -> Images:
    """Write as JPEG, and read again."""
    del random
    return each(images, lambda image: compressed(image, _QUALITY[severity]))


def resolution(images: Images, severity: Severity, random: Random) -> Images:
    """Make smaller, and large again."""
    del random
    part = _RESOLUTION[severity]

    def coarse(image: Picture) -> Picture:
        small = [max(1, round(side * part)) for side in image.size]
        reduced = image.resize((small[0], small[1]), Image.Resampling.BILINEAR)
        return reduced.resize(image.size, Image.Resampling.BILINEAR)

    return each(images, coarse)


def fourier(images: Images, severity: Severity, random: Random) -> NDArray[np.float32]:
    """Give each image the amplitudes of another one's low frequencies (FDA, equation 1).

    The other one is the next of the batch, after the order was drawn: of one image, itself.
    """
    order = random.permutation(len(images))
    others = np.empty_like(order)
    others[order] = np.roll(order, -1)
    changed = [_mixed(images[row], images[others[row]], severity) for row in range(len(images))]
    return np.stack(changed)


def blurred(image: Picture, part: float) -> Picture:
    """Blur a picture by a part of its shorter side."""
    return image.filter(ImageFilter.GaussianBlur(part * min(image.size)))


def compressed(image: Picture, quality: int) -> Picture:
    """Return what JPEG makes of a picture."""
    stream = BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def each(images: Images, change: Callable[[Picture], Picture]) -> Images:
    """Change each image as a picture of Pillow's."""
    return np.stack([np.asarray(change(Image.fromarray(image)), np.uint8) for image in images])


def _mixed(image: Images, other: Images, severity: Severity) -> NDArray[np.float32]:
    """Return an image whose amplitudes at low frequencies are those of another one."""
    height, width, _ = image.shape
    reach = int(min(height, width) * _FOURIER[severity])
    rows, columns = (_low(side, reach) for side in (height, width))
    ours, theirs = (np.fft.fft2(each.astype(np.float64), axes=(0, 1)) for each in (image, other))
    window = np.ix_(rows, columns)
    ours[window] = np.abs(theirs[window]) * np.exp(1j * np.angle(ours[window]))
    return np.fft.ifft2(ours, axes=(0, 1)).real.astype(np.float32)


def _low(side: int, reach: int) -> NDArray[np.int64]:
    """Return where the frequencies up to `reach` stand, of both signs."""
    return np.unique(np.arange(-reach, reach + 1) % side)
