"""From an image file to the pixels that every model sees, in Python the same everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pupila.contract import InputContract
from pupila.errors import PupilaError


def decode(path: Path) -> Image.Image:
    """Read any image that Pillow reads as upright 8-bit RGB.

    EXIF orientation is applied, grey is spread over three channels, 16-bit is scaled to 8,
    transparency is laid over black.

    Raises:
        PupilaError: the file is missing, truncated or no image.
    """
    try:
        with Image.open(path) as stored:
            stored.load()
            image = ImageOps.exif_transpose(stored)
    except FileNotFoundError:
        raise PupilaError(f"No image at {str(path)!r}.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise PupilaError(f"{str(path)!r} cannot be read as an image: {error}") from None
    except Image.DecompressionBombError as error:
        raise PupilaError(f"{str(path)!r} is too large to decode safely: {error}") from None
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image)
    if "A" in image.getbands() or "transparency" in image.info:
        layered = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layered.size, (0, 0, 0, 255)), layered)
    return image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey (or wider integers that hold 16 bits) to 8 bits; floats are 0..1."""
    values = np.asarray(image, np.float64)
    full_scale = 1.0 if image.mode == "F" and values.max(initial=0) <= 1 else 65535.0
    return Image.fromarray(np.clip(np.rint(values / full_scale * 255), 0, 255).astype(np.uint8))


def resize(image: Image.Image, contract: InputContract) -> NDArray[np.uint8]:
    """Return uint8 `(height, width, 3)`: antialiased bilinear, aspect ratio not kept."""
    size = (contract.width, contract.height)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8)
