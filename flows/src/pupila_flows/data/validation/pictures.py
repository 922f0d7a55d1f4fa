"""Pictures of the images that checks found, each with why it was found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pupila_flows.data.validation.image_checks import Limit, Rule
from pupila_flows.results import Check
from pupila_flows.thumbnails import thumbnail


@dataclass(frozen=True)
class FoundImage:
    """An image that a check found."""

    path: str
    picture: str | None
    """The image as a `data:` URL; None if it cannot be read."""
    reason: str
    """Which of its values breaks the rule; empty if the check is about several images."""

    @property
    def file(self) -> str:
        return Path(self.path).name


def found_images(check: Check, rule: Rule | None, frame: pd.DataFrame) -> tuple[FoundImage, ...]:
    """Return the images that a check found; `rule` is what it checks of each image, if it does."""
    rows = {path: row for row, path in enumerate(frame["path"].tolist())}
    return tuple(
        FoundImage(
            path,
            thumbnail(Path(path)),
            "; ".join(_reasons(rule, frame.iloc[rows[path]])) if rule and path in rows else "",
        )
        for path in check.images
    )


def _reasons(rule: Rule, row: pd.Series[Any]) -> list[str]:
    return [
        _reason(limit, row[limit.column])
        for limit in rule.limits
        if _breaks(row[limit.column], limit)
    ]


def _breaks(value: Any, limit: Limit) -> bool:
    if limit.allowed is not None:
        return value not in limit.allowed
    low = limit.minimum is not None and value < limit.minimum
    return low or (limit.maximum is not None and value > limit.maximum)


def _reason(limit: Limit, value: Any) -> str:
    """Write a value with the name of its column; a column that should be empty says it in words."""
    if limit.allowed == ("",):
        return str(value)
    return f"{limit.column} {value:.4g}" if isinstance(value, float) else f"{limit.column} {value}"
