"""Environment variables in the paths of a recipe: `${NAME}` and `${NAME:-default}`."""

from __future__ import annotations

import os
import re

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def unset(text: str) -> dict[str, str]:
    """Return the variables in a text that have neither a value nor a default.

    The result maps the name of each such variable to `empty` or `not set`.
    """
    names = [match[1] for match in _VARIABLE.finditer(text) if match[2] is None]
    return {
        name: "empty" if name in os.environ else "not set"
        for name in names
        if not os.environ.get(name)
    }


def remove_variables(text: str) -> str:
    """Return a text without its variables."""
    return _VARIABLE.sub("", text)


def expand(text: str) -> str:
    """Return a text with its variables replaced by their values."""
    return _VARIABLE.sub(lambda match: os.environ.get(match[1]) or (match[2] or ""), text)
