"""What a model is beside the chosen one: the colours and shapes of the drawings go by it."""

from __future__ import annotations

from pupila.measured import SearchResult

ROLES = {
    "chosen": "chosen",
    "tied": "cannot be told apart from it",
    "other": "others of the front",
}
"""What the marks mean, in words, by their class in the style sheet."""


def role_of(name: str, search: SearchResult) -> str:
    """Return the class of a model in the style sheet: chosen, tied or other."""
    if name == search.chosen:
        return "chosen"
    return "tied" if name in search.tied else "other"
