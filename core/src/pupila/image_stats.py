"""What a scan measures of every image file; the names are columns of its table."""

from __future__ import annotations

from typing import NamedTuple


class ImageStats(NamedTuple):
    """What the contents of one image file measure; NaN where it does not decode."""

    sha256: str
    """Of the file's bytes; empty if the file is missing."""
    phash: str
    """Perceptual hash, 64 bits as 16 hexadecimal digits; empty where it does not decode."""
    width: float
    """Columns of the upright image, in pixels."""
    height: float
    """Rows of the upright image, in pixels."""
    brightness: float
    """Mean luma, 0..255."""
    sharpness: float
    """Variance of the Laplacian of a grey thumbnail of 256 by 256 pixels."""
    mean_red: float
    mean_green: float
    mean_blue: float
    error: str
    """Why it does not decode, or empty."""


MEASURED = ("bytes", *ImageStats._fields)
"""Columns that a scan adds."""
