"""Ships a model with its operating threshold, chosen on the validation images.

This module only describes the technique: its code is imported in the process that runs it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pupila import ANY_FORMAT, Technique, hookimpl
from pupila_threshold.config import Operating


@hookimpl
def pupila_techniques() -> Iterator[Technique]:
    """Yield the technique `threshold`."""
    yield Technique(
        name="threshold",
        summary="Ship the model with a threshold chosen on the validation images",
        implementation="pupila_threshold.technique:threshold",
        config=Operating,
        accepts=ANY_FORMAT,
        produces="",
        needs_data=True,
    )
