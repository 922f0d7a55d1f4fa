"""Checks names that become part of file names and addresses: at most 64 safe characters."""

from __future__ import annotations

import re

_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_LOWER_CASE_NAME = "[a-z0-9][a-z0-9-]{0,63}"


def name_fault(text: str) -> str | None:
    """Return the rule that a name breaks, as `must be …`; None if the name is allowed."""
    if re.fullmatch(_NAME, text):
        return None
    return "must be at most 64 letters, digits, '.', '_' and '-', the first a letter or digit"


def lower_case_name_fault(text: str) -> str | None:
    """Return the stricter rule (no capitals, dots, underscores) if a name breaks it, else None."""
    if re.fullmatch(_LOWER_CASE_NAME, text):
        return None
    return "must be at most 64 lower-case letters, digits and dashes, no dash first"
