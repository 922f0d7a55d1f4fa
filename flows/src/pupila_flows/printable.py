"""Escapes control characters in untrusted texts, such as class names, for terminals and pages."""

from __future__ import annotations

import unicodedata

_LAYOUT = "\n\t"
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the writing direction, and so can disguise the text after them."""


def printable(text: str) -> str:
    r"""Return a text with every control character escaped, in the form `\x1b`.

    In a terminal, control characters can move the cursor, rewrite lines or set titles; on a page
    they can reverse the text after them, even figures. Lone surrogates, which file names may have,
    are escaped too.
    """
    if text.isprintable():
        return text
    return "".join(_escape(character) if _is_unsafe(character) else character for character in text)


def _is_unsafe(character: str) -> bool:
    if character in _LAYOUT:
        return False
    return unicodedata.category(character) in ("Cc", "Cs") or character in _BIDI


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
