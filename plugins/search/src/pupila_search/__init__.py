"""Searches for small architectures by evolution; every candidate learns from the same teachers.

This module only describes the techniques: Keras is imported in the processes that train.
"""

from __future__ import annotations

from collections.abc import Iterator

from pupila import ANY_FORMAT, Technique, hookimpl
from pupila.plugin import ANY_TASK
from pupila_search.config import Pick, Search


@hookimpl
def pupila_techniques() -> Iterator[Technique]:
    """Yield `search`, and `search-pick`, which takes another model from a search's Pareto front."""
    yield Technique(
        name="search",
        summary="Search for a small architecture by evolution, taught by large models",
        implementation="pupila_search.techniques:search",
        config=Search,
        tasks=ANY_TASK,
        accepts=ANY_FORMAT,
        produces="keras",
        max_inputs=None,
        needs_data=True,
        seeded=True,
        uses_workers=True,
    )
    yield Technique(
        name="search-pick",
        summary="Take a model by name from the front that a search has found",
        implementation="pupila_search.techniques:pick",
        config=Pick,
        tasks=ANY_TASK,
        accepts=frozenset({"keras"}),
        produces="keras",
    )
