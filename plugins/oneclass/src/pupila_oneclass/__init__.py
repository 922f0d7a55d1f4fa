"""Makes a filter for one class from images of that class alone.

This module only describes the technique: Keras is imported in the process that trains.
"""

from __future__ import annotations

from collections.abc import Iterator

from pupila import Technique, hookimpl
from pupila.plugin import ANY_TASK
from pupila_oneclass.config import OneClass, OneClassDistance


@hookimpl
def pupila_techniques() -> Iterator[Technique]:
    """Yield the techniques `one-class` and `one-class-distance`."""
    yield Technique(
        name="one-class",
        summary="Tell one class from anything else, by its images alone (Oza and Patel 2019)",
        implementation="pupila_oneclass.technique:one_class",
        config=OneClass,
        accepts=frozenset({"keras"}),
        produces="keras",
        min_inputs=0,
        needs_data=True,
        seeded=True,
        features_only=True,
        tasks=ANY_TASK,
    )
    yield Technique(
        name="one-class-distance",
        summary="Tell one class from anything else by the distance of early features (Lee 2018)",
        implementation="pupila_oneclass.distance:one_class_distance",
        config=OneClassDistance,
        accepts=frozenset({"keras"}),
        produces="keras",
        needs_data=True,
        features_only=True,
        tasks=ANY_TASK,
    )
