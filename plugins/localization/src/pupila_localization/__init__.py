"""The task `localization`: where something is in an image, and how large, or that it is not there.

This module only describes the task: its code is imported where data or models are used.
"""

from __future__ import annotations

from collections.abc import Iterator

from pupila import hookimpl
from pupila.plugin import Task


@hookimpl
def pupila_tasks() -> Iterator[Task]:
    """Yield the task `localization`."""
    yield Task(
        name="localization",
        summary="Where something is in an image, and how large",
        implementation="pupila_localization.task:Localization",
        training="pupila_localization.training:LocalizationTraining",
        label_columns=("x", "y", "half_width", "half_height"),
        output_kinds=("heat-map", "coordinates"),
    )
