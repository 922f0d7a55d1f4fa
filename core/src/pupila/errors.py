"""The one exception for mistakes that a user can mend."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable


class PupilaError(Exception):
    """A mistake in what the user gave us: shown as one message, exit code 2, never a traceback.

    The message says what was received, what was expected and what to do next.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the known name closest to `name`, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def no_class(field: str, name: str, classes: Collection[str]) -> str:
    """Say that a field names a class which the data does not have, and offer the nearest."""
    return (
        f"{field} is {name!r}, which is none of the classes {list(classes)}."
        f"{nearest(name, classes)}"
    )
