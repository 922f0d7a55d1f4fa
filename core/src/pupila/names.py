"""Checks names that become part of file names and addresses, and composes those of classes."""

from __future__ import annotations

import re
import unicodedata

_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_LOWER_CASE_NAME = "[a-z0-9][a-z0-9-]{0,63}"


def name_fault(text: str) -> str | None:
    """Return the rule that a name breaks, as `must be …`; None if the name is allowed."""
    if re.fullmatch(_NAME, text):
        return None
    return "must be at most 64 letters, digits, '.', '_' and '-', the first a letter or digit"


def composed(text: str) -> str:
    """Return a class's name with composed letters (Unicode's NFC), as keyboards type them.

    Folders that macOS unpacks may be named with letters and accents apart (NFD): the same to see.
    """
    return unicodedata.normalize("NFC", text)


def lower_case_name_fault(text: str) -> str | None:
    """Return the stricter rule (no capitals, dots, underscores) if a name breaks it, else None."""
    if re.fullmatch(_LOWER_CASE_NAME, text):
        return None
    return "must be at most 64 lower-case letters, digits and dashes, no dash first"
