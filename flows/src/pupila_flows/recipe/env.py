"""Environment variables in the paths of a recipe: `${NAME}` and `${NAME:-default}`."""

from __future__ import annotations

import os
import re

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def unset(text: str) -> dict[str, str]:
    """Return the variables of a text that have neither value nor default, and what they are."""
    found = [match[1] for match in _VARIABLE.finditer(text) if match[2] is None]
    return {
        name: "empty" if name in os.environ else "not set"
        for name in found
        if not os.environ.get(name)
    }


def blanked(text: str) -> str:
    """Return a text without its variables, with what is written in it alone."""
    return _VARIABLE.sub("", text)


def expanded(text: str) -> str:
    """Return a text with the values of its variables."""
    return _VARIABLE.sub(lambda match: os.environ.get(match[1]) or (match[2] or ""), text)
