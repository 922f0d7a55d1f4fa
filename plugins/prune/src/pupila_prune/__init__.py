"""Prunes filters or single weights of a model, or clusters its weights, and retrains it.

This module only describes the techniques: Keras is imported in the process that prunes.
"""

from __future__ import annotations

from collections.abc import Iterator

from pupila import Config, Technique, hookimpl
from pupila.plugin import ANY_TASK, CLASSIFICATION
from pupila_prune.config import Clustering, FilterPruning, MagnitudePruning, WeightPruning


@hookimpl
def pupila_techniques() -> Iterator[Technique]:
    """Yield the pruning techniques and `cluster`."""
    yield _technique(
        "prune-filters",
        "Cut the filters that matter least to the loss, and retrain (Molchanov et al. 2019)",
        FilterPruning,
    )
    yield _technique(
        "prune-magnitude",
        "Set the smallest weights to 0 in rounds, or 2 of every 4 (Zhu and Gupta 2017)",
        MagnitudePruning,
    )
    yield _technique(
        "prune-obd",
        "Set the weights to 0 whose removal raises the loss least (LeCun et al. 1990)",
        WeightPruning,
        tasks=frozenset({CLASSIFICATION}),  # its curvature is that of a softmax over classes
    )
    yield _technique(
        "prune-synflow",
        "Set the weights with the least synaptic flow to 0, without data (Tanaka et al. 2020)",
        WeightPruning,
    )
    yield _technique(
        "cluster",
        "Let the weights of a kernel share a few values, and retrain these (Han et al. 2016)",
        Clustering,
    )


def _technique(
    name: str, summary: str, config: type[Config], tasks: frozenset[str] = ANY_TASK
) -> Technique:
    return Technique(
        name=name,
        summary=summary,
        tasks=tasks,
        implementation=f"pupila_prune.techniques:{name.replace('-', '_')}",
        config=config,
        accepts=frozenset({"keras"}),
        produces="keras",
        needs_data=True,
        seeded=True,
    )
