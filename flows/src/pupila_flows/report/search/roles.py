"""A model's role in a search, which selects its colour and shape in plots."""

from __future__ import annotations

from pupila.measured import SearchResult

ROLES = {
    "chosen": "chosen",
    "tied": "no shown difference",
    "other": "others of the front",
}
"""The meaning of each role, by its style class."""


def role_of(name: str, search: SearchResult) -> str:
    """Return the CSS class of a model: `chosen`, `tied` or `other`."""
    if name == search.chosen:
        return "chosen"
    return "tied" if name in search.tied else "other"
