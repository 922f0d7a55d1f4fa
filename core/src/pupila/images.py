"""Decodes image files and resizes them, in the same way for every model."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pupila.errors import PluginFailed, PupilaError
from pupila.image_formats import format_of
from pupila.paths import is_special
from pupila.plugin_registry import installed
from pupila.spec import InputSpec

_BROKEN = (
    *(OSError, EOFError, SyntaxError, ValueError, RuntimeError),
    Image.DecompressionBombError,
)
"""What a decoder raises for a damaged file: all exceptions that Pillow raised on 25,000 damaged
files of 17 formats, and that of an early end. Others are faults of the decoder."""

_MOST_PIXELS = 64_000_000
"""Most pixels of an image; phone cameras have 50 million. Decoding 64 million pixels takes 1.0 GB
with transparency, 0.8 GB as floats, 0.5 GB as RGB (measured). Pillow allows 179 million pixels,
which would take three times as much."""
_TOO_LARGE = "and more than 64 million are not decoded"
SPECIAL = "it is a pipe or a device, not a file"
_BAND_ROWS = 256

MARKER = (255, 0, 255)
"""Colour around an image that does not fill its picture; no pixel of the image has it."""
_NEXT_TO_MARKER = (254, 0, 255)

_FULL_SCALES = (1.0, 255.0, 65535.0)


# Pillow warns at half of its own limit; ours is lower
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class ImageError(PupilaError):
    """A file that cannot be read as an image; `reason` says why, without the file's path."""

    def __init__(self, path: Path, reason: str) -> None:
        reason = " ".join(reason.split())  # of libraries, over several lines
        super().__init__(
            f"{str(path)!r} cannot be read as an image: {reason}. Replace the file, or take it "
            f"out of the data."
        )
        self.reason = reason


def decode(path: Path) -> Image.Image:
    """Read an image file with the installed decoder of its format, as upright 8-bit RGB.

    EXIF orientation is applied, grey becomes RGB, 16 bits are scaled to 8, and transparent images
    are composited over black. Of several frames, the first is read.

    Raises:
        ImageError: the file is missing, empty, truncated, a pipe or device, or not an image that an
            installed decoder reads, or it has more than 64 million pixels.
    """
    if is_special(path):
        raise ImageError(path, SPECIAL)
    try:
        plugin = format_of(path)
        with installed().calling(plugin, *_BROKEN), _picture(plugin.load()(path)) as stored:
            return upright_rgb(stored)
    except (PluginFailed, PupilaError) as error:
        raise ImageError(path, str(error).rstrip(".")) from error.__cause__
    except _BROKEN as error:
        raise ImageError(path, _reason(path, error)) from None


def upright_rgb(image: Image.Image) -> Image.Image:
    """Return an image of Pillow with the pixels that `decode` gives for its file.

    Raises:
        PupilaError: its file is damaged, or it has more than 64 million pixels; the message is the
            reason.
    """
    check_size(*image.size)
    try:
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image))
    except _BROKEN as error:
        raise PupilaError(_words(error)) from None


def check_size(width: int, height: int) -> None:
    """Make sure that an image is not too large to be decoded.

    Raises:
        PupilaError: it has more than 64 million pixels.
    """
    if width * height > _MOST_PIXELS:
        raise PupilaError(f"it has {width:,} × {height:,} pixels, {_TOO_LARGE}")


def _picture(decoded: Any) -> Image.Image:
    """Return what a decoder returned as a PIL image.

    Raises:
        TypeError: it is neither an image nor an array of one.
    """
    if isinstance(decoded, Image.Image):
        return decoded
    dtype: Any = getattr(decoded, "dtype", None)
    shape: tuple[int, ...] = getattr(decoded, "shape", ())
    has_pixels = len(shape) in (2, 3) and shape[2:] in ((), (3,)) and min(shape) > 0
    if dtype not in (np.uint8, np.uint16) or not has_pixels:
        what = f"{dtype} {shape}" if dtype else repr(decoded)[:80]
        raise TypeError(
            f"it returned {what}, where a PIL image or an array (height, width) or (height, "
            f"width, 3) of uint8 or uint16 was expected"
        )
    check_size(*shape[1::-1])
    return Image.fromarray(decoded if dtype == np.uint8 else _scaled(decoded, _FULL_SCALES[-1]))


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file does not exist"
    if isinstance(error, UnidentifiedImageError):
        return "the file is empty" if not path.stat().st_size else "its format is not known"
    return _words(error)


def _words(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than 179 million pixels, {_TOO_LARGE}"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or repr(error)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image)
    if "A" in image.getbands() or "transparency" in image.info:
        layered = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layered.size, (0, 0, 0, 255)), layered)
    return image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey (or wider integers that hold 16 bits) to 8 bits.

    Floats are taken as 0..1, 0..255 or 0..65535: the narrowest range that holds them.
    """
    stored = np.asarray(image)
    bands = (stored[row : row + _BAND_ROWS] for row in range(0, len(stored), _BAND_ROWS))
    highest = max((np.nan_to_num(band).max(initial=0) for band in bands), default=0)
    scales = _FULL_SCALES if image.mode == "F" else _FULL_SCALES[-1:]
    full_scale = next((scale for scale in scales if highest <= scale), scales[-1])
    return Image.fromarray(_scaled(stored, full_scale))


def _scaled(stored: NDArray[Any], full_scale: float) -> NDArray[np.uint8]:
    """Return values 0..`full_scale` as 8 bits, band by band to save memory."""
    scaled = np.empty(stored.shape, np.uint8)
    for row in range(0, len(stored), _BAND_ROWS):
        values = np.nan_to_num(stored[row : row + _BAND_ROWS].astype(np.float64)) / full_scale * 255
        scaled[row : row + _BAND_ROWS] = np.clip(np.rint(values), 0, 255)
    return scaled


def resize(image: Image.Image, spec: InputSpec) -> NDArray[np.uint8]:
    """Return an image resized for a model's input: uint8 `(height, width, 3)`.

    The aspect ratio is kept only if `spec.fit` is `surround`; see `InputSpec`. An image of the
    right size is returned unchanged.

    The filter is Pillow's `BILINEAR`, which is antialiased: each output pixel is a weighted mean of
    all the input pixels that it covers. In most frameworks, "bilinear" means only the nearest four
    input pixels.
    """
    if spec.fit == "surround":
        return _surround(image, spec)
    return _stretch(image, (spec.width, spec.height))


def _stretch(image: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8)


def _surround(image: Image.Image, spec: InputSpec) -> NDArray[np.uint8]:
    """Place an image, reduced if it is too large, at the top left of a canvas of marker colour.

    Pixels of the image that have the marker colour get the colour next to it.
    """
    shrink = min(1, spec.width / image.width, spec.height / image.height)
    width, height = (max(1, math.floor(side * shrink + 0.5)) for side in image.size)
    content = _stretch(image, (width, height)).copy()
    content[(content == MARKER).all(axis=-1)] = _NEXT_TO_MARKER
    canvas = np.full(spec.shape, MARKER, np.uint8)
    canvas[:height, :width] = content
    return canvas


def content_of(picture: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Return the part of a picture that shows the image, without the marker colour around it.

    `picture` is `(height, width, 3)`, as `resize` returns it; the result is a view of it. If
    `spec.fit` is `stretch`, the image is the whole picture.

    Raises:
        PupilaError: all of the picture has the marker colour.
    """
    if spec.fit == "stretch":
        return picture
    height, width = (
        int((edge != MARKER).any(axis=-1).sum()) for edge in (picture[:, 0], picture[0])
    )
    if not (height and width):
        raise PupilaError(
            f"A picture of {picture.shape[1]} × {picture.shape[0]} pixels shows no image: all of "
            f"it has the colour {MARKER}, which surrounds images. Make it with `resize`."
        )
    return picture[:height, :width]
