"""Reads HEIC images with libheif."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pillow_heif
from PIL import Image


def read(path: Path) -> Image.Image:
    """Open an HEIC file; of several images, the primary one is read when its pixels are needed.

    libheif applies the file's own rotation and mirroring.
    """
    return cast("Image.Image", cast("Any", pillow_heif).HeifImageFile(str(path)))
