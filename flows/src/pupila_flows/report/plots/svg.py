"""Writes SVG elements, escaped; colours come from the page's style sheet by class."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape


def element(name: str, *content: str, **attributes: str | float) -> Markup:
    """Return an SVG element with its content and attributes.

    `class_` gives `class`, `stroke_width` gives `stroke-width`; floats keep two decimals. Content
    that is not `Markup` is escaped.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
    )
    inside = Markup("").join(content)
    markup = f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"
    return Markup(markup)  # noqa: S704 - every part was escaped above


def picture(width: float, height: float, label: str, *content: Markup, class_: str) -> Markup:
    """Return an `<svg>` of this width and height; screen readers read `label`."""
    return _root(width, height, label, content, class_=class_)


def document(width: float, height: float, label: str, *content: Markup, class_: str) -> Markup:
    """Return the same `<svg>` as `picture`, but as the content of a standalone file."""
    return _root(width, height, label, content, class_=class_, xmlns="http://www.w3.org/2000/svg")


def _root(
    width: float, height: float, label: str, content: Sequence[Markup], **attributes: str
) -> Markup:
    return element(
        "svg",
        *content,
        viewBox=f"0 0 {_text(width)} {_text(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
        **attributes,
    )


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(x: float, y: float, content: str, class_: str, anchor: str = "start") -> Markup:
    """Return a text with its baseline at `y` and its start, middle or end (`anchor`) at `x`."""
    return element("text", content, x=x, y=y, class_=class_, text_anchor=anchor)


def path(points: list[tuple[float, float]], class_: str) -> Markup:
    """Return a polyline through points."""
    steps = " ".join(f"{_text(float(x))},{_text(float(y))}" for x, y in points)
    return element("polyline", points=steps, class_=class_)


def _text(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.2f}".rstrip("0").rstrip(".")
