"""Texts of others, a class name or a reason, as a terminal and pages may be given them."""

from __future__ import annotations

import unicodedata

_LAYOUT = "\n\t"
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows, and so can hide what stands there."""


def printable(text: str) -> str:
    r"""Return a text with every control character written out, as `\x1b`.

    A terminal obeys such characters: they move the cursor, rewrite lines, set titles; a page writes
    what follows, figures too, from right to left. Lone surrogates, which names of files on disk
    may hold, are written out too.
    """
    if text.isprintable():
        return text
    return "".join(_written_out(each) if _is_unsafe(each) else each for each in text)


def _is_unsafe(character: str) -> bool:
    if character in _LAYOUT:
        return False
    return unicodedata.category(character) in ("Cc", "Cs") or character in _TURNS


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
