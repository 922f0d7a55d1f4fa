"""When the nightly runs begin."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Night:
    """A cron schedule, and the time zone that it is meant in."""

    cron: str = "0 2 * * *"
    timezone: str = "UTC"
