"""Cuts the filters that a classifier can do without, and retrains it.

This module only describes: Keras is imported in the process that prunes.
"""

from __future__ import annotations

from collections.abc import Iterator

from pupila import Technique, hookimpl
from pupila_prune.config import FilterPruning


@hookimpl
def pupila_techniques() -> Iterator[Technique]:
    """Yield what makes a model smaller by leaving parts of it out."""
    yield Technique(
        name="prune-filters",
        summary="Cut the filters whose loss costs least, and retrain (Molchanov et al. 2019)",
        implementation="pupila_prune.techniques:prune_filters",
        config=FilterPruning,
        accepts=frozenset({"keras"}),
        produces="keras",
        needs_data=True,
        seeded=True,
    )
