"""Makes small pictures of images, to embed in pages."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from pupila.errors import PupilaError
from pupila.images import decode

_SIDE_PIXELS = 512
"""Longer side of a picture: pages show it small, and large when it is opened."""
_JPEG_QUALITY = 72


def thumbnail(path: Path | None) -> str | None:
    """Return an image file as a small JPEG `data:` URL; None if it is missing or unreadable."""
    image = decoded(path)
    return as_thumbnail(image) if image else None


def decoded(path: Path | None) -> Image.Image | None:
    """Return an image file decoded; None if it is missing or unreadable."""
    if path is None:
        return None
    try:
        return decode(path)
    except PupilaError:
        return None


def as_thumbnail(image: Image.Image) -> str:
    """Return an image as a small JPEG `data:` URL; `image` is shrunk in place."""
    image.thumbnail((_SIDE_PIXELS, _SIDE_PIXELS), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
