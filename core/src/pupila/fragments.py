"""Checks HTML and SVG of packages, and writes it again: text, tables and drawings, nothing else.

What is not listed here is refused. So a fragment has no scripts, styles, links, images or event
handlers, loads nothing, and ends in the element in which it began.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from html.parser import HTMLParser

from pupila.errors import PupilaError

_VOID = frozenset({"br", "hr"})
_HTML = """
abbr b caption code dd details div dl dt em figcaption figure h3 h4 i li ol p pre small span strong
sub summary sup table tbody td th thead tr ul
"""
_SVG = "svg circle desc ellipse g line path polygon polyline rect text tspan"
_ELEMENTS = _VOID | {*_HTML.split(), *_SVG.split()}
_NAMES = """
class colspan role rowspan scope title
cx cy d dominant-baseline fill fill-opacity font-size height opacity points preserveaspectratio r rx
ry stroke stroke-dasharray stroke-linecap stroke-linejoin stroke-opacity stroke-width text-anchor
transform viewbox width x x1 x2 y y1 y2
"""
_ATTRIBUTES = frozenset(_NAMES.split())


def checked(fragment: str) -> str:
    """Return a fragment of HTML as it may stand in a page, without escaping.

    Raises:
        PupilaError: it has an element or an attribute that is not allowed, or its elements do not
            end in order.
    """
    writer = _Writer()
    writer.feed(fragment)
    writer.close()
    if writer.open:
        raise PupilaError(f"<{writer.open[-1]}> does not end: close it.")
    return "".join(writer.written)


class _Writer(HTMLParser):
    """Reads a fragment, and writes what is allowed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.written: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag not in _ELEMENTS:
            raise PupilaError(
                f"<{tag}> is not allowed: expected elements of text, tables and drawings, without "
                f"scripts, styles, links or images."
            )
        self.written.append(f"<{tag}{''.join(_attribute(tag, *pair) for pair in attrs)}>")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            raise PupilaError(f"</{tag}> ends an element that is not open there: remove it.")
        self.open.pop()
        self.written.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.written.append(escape(data))

    def handle_decl(self, decl: str) -> None:
        raise PupilaError(f"<!{decl}> is not allowed: give a fragment, not a document.")

    def unknown_decl(self, data: str) -> None:
        self.handle_decl(f"[{data}")

    def handle_pi(self, data: str) -> None:
        self.handle_decl(f"?{data}")


def _attribute(tag: str, name: str, value: str | None) -> str:
    text = value or ""
    known = name in _ATTRIBUTES or name.startswith("aria-")
    if not known or "url(" in text.lower().replace(" ", ""):
        raise PupilaError(
            f"<{tag} {name}={text!r}> is not allowed: expected attributes of layout and drawing, "
            f"without styles, addresses or events."
        )
    return f' {name}="{escape(text)}"'
