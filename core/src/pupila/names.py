"""Names that may be part of a file's name and of an address: at most 64 characters."""

from __future__ import annotations

import re

_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_LOWER_CASE_NAME = "[a-z0-9][a-z0-9-]{0,63}"


def name_fault(text: str) -> str | None:
    """Return what a name must be like; None if it is allowed."""
    if re.fullmatch(_NAME, text):
        return None
    return "must be at most 64 letters, digits, '.', '_' and '-', the first a letter or digit"


def lower_case_name_fault(text: str) -> str | None:
    """The same for names without capitals, dots and underscores."""
    if re.fullmatch(_LOWER_CASE_NAME, text):
        return None
    return "must be at most 64 lower-case letters, digits and dashes, no dash first"
