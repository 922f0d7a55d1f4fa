"""What a check of the images found out: a value, and the range in which it passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
"""Whether a failed check stops a run, or is only reported."""


@dataclass(frozen=True)
class Fact:
    """A value that describes all the data, and the range in which it passes.

    The bounds `minimum` and `maximum` are inclusive; None means unbounded.
    """

    name: str
    """What should be true, as a sentence: `No image is in two splits`."""
    severity: Severity
    column: str
    """Name of the value in Data Docs; of a `DataCheck`, it is the name of the plugin."""
    value: float
    observed: str
    """What is true, in words, without a full stop."""
    advice: str = ""
    """What to do if the check fails."""
    images: tuple[str, ...] = ()
    """Paths of images to look at, the first twenty of them."""
    minimum: float | None = None
    maximum: float | None = None
    shortcut: bool = False
    """Whether the value measures how well something other than the disease tells classes apart."""
