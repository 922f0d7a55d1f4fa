"""Draws what truth and answers mark over a thumbnail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from pupila.task_words import Mark
from pupila_flows.report.plots import svg
from pupila_flows.thumbnails import as_thumbnail, decoded

_ARM = 0.02
"""Length of each arm of the cross at the middle of a mark, as a fraction of the image's width."""


def marked_thumbnail(
    path: Path | None, marks: Sequence[tuple[str, Sequence[Mark]]], label: str
) -> Markup | None:
    """Draw marks over a thumbnail of an image file; None if the file is missing or unreadable.

    `marks` are pairs of a style class and its marks, the lowest first. Screen readers read `label`.
    """
    image = decoded(path)
    if image is None:
        return None
    url = as_thumbnail(image)
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
