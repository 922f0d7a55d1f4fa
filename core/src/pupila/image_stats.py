"""What a scan measures of each image file; the field names are columns of the scan's table."""

from __future__ import annotations

from typing import NamedTuple

HASH_BITS = 256
"""Bits of a perceptual hash.

With 64 bits, the usual number, other eyes look like near-duplicates: of IDRiD's 514 photographs,
115 differ by 4 bits or less from one in another split. With 256 bits, the nearest photographs of
different eyes differ by 30, and 95 % of the photographs by 12 or less after JPEG at quality 50,
halving, or a change of brightness, gamma or sharpness. The bits of a picture that has nothing but
soft shapes are less stable.
"""


class ImageStats(NamedTuple):
    """Measurements of one image file; numbers are NaN if the image cannot be decoded."""

    sha256: str
    """SHA-256 of the file's bytes; empty if the file is missing."""
    phash: str
    """Perceptual hash, `HASH_BITS` as hexadecimal digits; empty if the image cannot be decoded."""
    width: float
    """Width of the upright image (EXIF orientation applied), in pixels."""
    height: float
    """Height of the upright image, in pixels."""
    brightness: float
    """Mean luma of the image, 0..255."""
    sharpness: float
    """Variance of the Laplacian of a grey thumbnail of 256 by 256 pixels."""
    mean_red: float
    mean_green: float
    mean_blue: float
    error: str
    """Why the image cannot be decoded; empty if it can."""
    decoder: str
    """Versions of the package that decodes it; empty if that is core."""


MEASURED = ("bytes", *ImageStats._fields)
"""Columns that a scan adds to a manifest."""
