"""The exception for mistakes that a user can correct, and texts for its messages."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

_SHOWN = 20
"""Most names that a message lists; the rest are only counted."""


class PupilaError(Exception):
    """A mistake in the user's input: shown as one message with exit code 2, never a traceback.

    The message says what was received, what was expected and what to do next.
    """


class PluginFailed(RuntimeError):
    """An error in the code of a plugin; the message names the plugin, its package and version.

    Its cause is what the code raised.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the known name closest to `name`, or an empty string.

    Upper and lower case are distinguished only between names that differ in nothing else.
    """
    names = sorted(set(known))
    matches = difflib.get_close_matches(
        name.casefold(), [text.casefold() for text in names], n=1, cutoff=0.5
    )
    if not matches:
        return ""
    spellings = [text for text in names if text.casefold() == matches[0]]
    match = max(spellings, key=lambda text: difflib.SequenceMatcher(None, name, text).ratio())
    return f" Did you mean {match!r}?"


def unknown_class(field: str, name: str, classes: Collection[str]) -> str:
    """Return the message for a field that names an unknown class, with the nearest known name."""
    hint = nearest(name, classes)
    return f"{field} is {name!r}, which is not one of the classes {list_names(classes)}.{hint}"


def check_class(field: str, name: str, classes: Collection[str]) -> None:
    """Make sure that the class `name`, given in `field`, is one of the classes.

    Raises:
        PupilaError: `name` is not one of the classes.
    """
    if name not in classes:
        raise PupilaError(unknown_class(field, name, classes))


def list_names(names: Iterable[object]) -> str:
    """Return names as a list, shortened if it is long: `['a', 'b'] and 998 more`."""
    listed = list(names)
    return f"{listed[:_SHOWN]}{_others(listed)}"


def join_names(names: Iterable[object]) -> str:
    """Return names separated by commas, shortened if there are many: `a, b and 998 more`."""
    listed = list(names)
    return f"{', '.join(map(str, listed[:_SHOWN]))}{_others(listed)}"


def _others(names: Collection[object]) -> str:
    return f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
