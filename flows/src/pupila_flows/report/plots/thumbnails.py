"""Makes thumbnails that are embedded in the page, and draws marks over them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from pupila.errors import PupilaError
from pupila.images import decode
from pupila.task_words import Mark
from pupila_flows.report.plots import svg

_SIDE_PIXELS = 144
_MARKED_PIXELS = 320
"""Longer side of a thumbnail under marks: their distances are often small."""
_ARM = 0.02
"""Length of each arm of the cross at the middle of a mark, as a fraction of the image's width."""
_JPEG_QUALITY = 72


def thumbnail(path: Path | None) -> str | None:
    """Return an image file as a small JPEG `data:` URL; None if it is missing or unreadable."""
    image = _decoded(path)
    return as_thumbnail(image) if image else None


def marked_thumbnail(
    path: Path | None, marks: Sequence[tuple[str, Sequence[Mark]]], label: str
) -> Markup | None:
    """Draw marks over a thumbnail of an image file; None if the file is missing or unreadable.

    `marks` are pairs of a style class and its marks, the lowest first. Screen readers read `label`.
    """
    image = _decoded(path)
    if image is None:
        return None
    url = as_thumbnail(image, _MARKED_PIXELS)
    width, height = image.size
    shapes = [
        svg.element("g", *(_mark(mark, width, height) for mark in drawn), class_=f"{layer} {style}")
        for style, drawn in marks
        for layer in ("halo", "mark")
        if drawn
    ]
    picture = svg.element("image", href=url, width=width, height=height)
    return svg.picture(width, height, label, picture, *shapes, class_="marked")


def _mark(mark: Mark, width: int, height: int) -> Markup:
    """Draw an ellipse, if the mark has a size, with a cross at its middle."""
    x, y, arm = mark.x * width, mark.y * height, _ARM * width
    arms = [svg.line(x - arm, y, x + arm, y, "arm"), svg.line(x, y - arm, x, y + arm, "arm")]
    if mark.half_width and mark.half_height:
        rx, ry = mark.half_width * width, mark.half_height * height
        arms.append(svg.element("ellipse", cx=x, cy=y, rx=rx, ry=ry, class_="outline"))
    return Markup("").join(arms)


def _decoded(path: Path | None) -> Image.Image | None:
    if path is None:
        return None
    try:
        return decode(path)
    except PupilaError:
        return None


def as_thumbnail(image: Image.Image, side_pixels: int = _SIDE_PIXELS) -> str:
    """Return an image as a small JPEG `data:` URL; `image` is shrunk in place."""
    image.thumbnail((side_pixels, side_pixels), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
