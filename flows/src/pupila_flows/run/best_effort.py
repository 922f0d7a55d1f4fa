"""Best-effort updates of the Prefect UI: errors are logged and ignored."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def best_effort(what: str) -> Generator[None]:
    """Ignore any error of Prefect's API in the block; the log says that `what` was not shown."""
    try:
        yield
    except Exception:  # of Prefect's client and of what it is built on: there is no common class
        logging.getLogger(__name__).warning("Prefect does not show: %s", what, exc_info=True)
