"""Validates the images before anything is trained on them.

Importing this package is cheap, because recipes need `Bounds` from it. Only the first validation
imports pandas and Great Expectations.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pupila.plugin import CLASSIFICATION
from pupila_flows.recipe.expectations import Bounds

if TYPE_CHECKING:
    import pandas as pd

    from pupila_flows.results import Check

__all__ = ["Bounds", "validate"]


def validate(
    frame: pd.DataFrame,
    classes: Sequence[str],
    positive: str,
    bounds: Bounds,
    docs_folder: Path,
    source: str,
    task: str = CLASSIFICATION,
) -> tuple[tuple[Check, ...], Path]:
    """Check a frame of `pupila.manifest.scan`; return the checks and the index page of Data Docs.

    Data Docs are the HTML pages that Great Expectations writes. A failed check of severity `error`
    stops a run, a warning does not. `docs_folder` must be used for Data Docs only: pages of an
    earlier validation are replaced. `source` is the name of the data on the pages. In tasks without
    classes, `positive` is ignored, and the labels are checked by the task's rules.

    Raises:
        PupilaError: `positive` is not one of the classes.
    """
    from pupila_flows.data.validation.checks import check_images

    return check_images(frame, classes, positive, bounds, docs_folder, source, task)
