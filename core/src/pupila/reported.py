"""A run as its report shows it: what a section that a package adds may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pupila.evaluation import Evaluation
from pupila.measured import Measured


@dataclass(frozen=True, kw_only=True)
class ReportedEntry:
    """A teacher or step of a run."""

    name: str
    uses: str
    """Name of the plugin that made it."""
    measured: Measured
    """What the plugin measured; `measured.read(Model)` gives a typed model."""
    evaluation: Evaluation | None
    """Its metrics and cost; None if it was not evaluated."""


@dataclass(frozen=True, kw_only=True)
class ReportedRun:
    """A run, as its report shows it."""

    entries: tuple[ReportedEntry, ...]
    """Teachers and steps of the first seed."""
    result: Mapping[str, Any]
    """All of `result.json`, as JSON values."""
