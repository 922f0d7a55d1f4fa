"""Alterations of fine detail: focus, noise, compression, and the strength of frequencies.

Arrays are 0..255, `(n, height, width, 3)`. Results may lie outside that range or between integers;
`pupila.shift.alter` clips and rounds them.
"""

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

_BLUR_FRACTION = {"mild": 0.0025, "middle": 0.005, "strong": 0.01}
"""Standard deviation of the blur as a fraction of the shorter side.

At 224 pixels: 0.6, 1.1 and 2.2 pixels.
"""
_SHARPENING = {"mild": 0.5, "middle": 1.0, "strong": 2.0}
"""Factor for the detail that a blur removes, which is added to the image."""
_SHARPENED_FRACTION = 0.01
"""Standard deviation of the blur used for sharpening, as a fraction of the shorter side."""
_NOISE = {"mild": 2, "middle": 4, "strong": 8}
"""Standard deviation of the noise; pixel values are 0..255."""
_QUALITY = {"mild": 60, "middle": 35, "strong": 15}
_RESOLUTION = {"mild": 0.7, "middle": 0.5, "strong": 0.3}
"""Fraction of the rows and columns that is kept."""
_FOURIER = {"mild": 0.01, "middle": 0.05, "strong": 0.09}
"""Size of the replaced low frequencies: β of Yang and Soatto 2020, "FDA: Fourier domain
adaptation for semantic segmentation"."""


def blur(images: Images, severity: Severity, random: Random) -> Images:
    """Blur images with a Gaussian, which Pillow approximates by three box filters."""
    del random
    fraction = _BLUR_FRACTION[severity]
    return map_images(images, lambda image: blurred(image, fraction))


def sharpening(images: Images, severity: Severity, random: Random) -> NDArray[np.float32]:
    """Sharpen images: add the detail that a blur would remove (an unsharp mask)."""
    del random
    soft = map_images(images, lambda image: blurred(image, _SHARPENED_FRACTION)).astype(np.float32)
    return images + np.float32(_SHARPENING[severity]) * (images - soft)


def noise(images: Images, severity: Severity, random: Random) -> NDArray[np.float32]:
    """Add Gaussian noise to each channel of each pixel."""
    shape: tuple[int, ...] = images.shape
    drawn = random.normal(0, 1, shape).astype(np.float32)
    return images + np.float32(_NOISE[severity]) * drawn


def jpeg(images: Images, severity: Severity, random: Random) -> Images:
    """Compress images as JPEG and decode them again."""
    del random
    return map_images(images, lambda image: compressed(image, _QUALITY[severity]))


def resolution(images: Images, severity: Severity, random: Random) -> Images:
    """Reduce images to fewer pixels and enlarge them again."""
    del random
    fraction = _RESOLUTION[severity]

    def coarse(image: Picture) -> Picture:
        small = [max(1, round(side * fraction)) for side in image.size]
        reduced = image.resize((small[0], small[1]), Image.Resampling.BILINEAR)
        return reduced.resize(image.size, Image.Resampling.BILINEAR)

    return map_images(images, coarse)


def fourier(images: Images, severity: Severity, random: Random) -> NDArray[np.float32]:
    """Give each image the low-frequency amplitudes of another image (FDA, equation 1).

    The other image is the next image in a random order of the batch. If there is only one image, it
    keeps its own amplitudes.
    """
    order = random.permutation(len(images))
    others = np.empty_like(order)
    others[order] = np.roll(order, -1)
    changed = [_mixed(images[row], images[others[row]], severity) for row in range(len(images))]
    return np.stack(changed)


def blurred(image: Picture, fraction: float) -> Picture:
    """Blur a picture with a standard deviation of `fraction` times its shorter side."""
    return image.filter(ImageFilter.GaussianBlur(fraction * min(image.size)))


def compressed(image: Picture, quality: int) -> Picture:
    """Return a picture after JPEG compression."""
    stream = BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def map_images(images: Images, change: Callable[[Picture], Picture]) -> Images:
    """Return uint8 images `(n, height, width, 3)` after applying `change` to each of them.

    `change` takes and returns a Pillow image.
    """
    return np.stack([np.asarray(change(Image.fromarray(image)), np.uint8) for image in images])


def _mixed(image: Images, other: Images, severity: Severity) -> NDArray[np.float32]:
    """Return an image with the low-frequency amplitudes of another image."""
    height, width, _ = image.shape
    reach = int(min(height, width) * _FOURIER[severity])
    rows, columns = (_low(side, reach) for side in (height, width))
    ours, theirs = (
        np.fft.fft2(pixels.astype(np.float64), axes=(0, 1)) for pixels in (image, other)
    )
    window = np.ix_(rows, columns)
    ours[window] = np.abs(theirs[window]) * np.exp(1j * np.angle(ours[window]))
    return np.fft.ifft2(ours, axes=(0, 1)).real.astype(np.float32)


def _low(side: int, reach: int) -> NDArray[np.int64]:
    """Return the indices of the frequencies from `-reach` to `reach`."""
    return np.unique(np.arange(-reach, reach + 1) % side)
