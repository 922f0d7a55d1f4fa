"""Telling Prefect what its pages show; a run does not depend on that it hears."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def telling(what: str) -> Generator[None]:
    """Let a server that does not answer cost what it would have shown, and no run."""
    try:
        yield
    except Exception:  # of Prefect's client and of what it is built on: there is no common class
        logging.getLogger(__name__).warning("Prefect was not told: %s", what, exc_info=True)
