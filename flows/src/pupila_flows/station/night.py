"""The schedule of nightly runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Night:
    """A cron schedule and its time zone."""

    cron: str = "0 2 * * *"
    timezone: str = "UTC"
