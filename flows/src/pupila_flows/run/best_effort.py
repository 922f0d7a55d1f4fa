"""Best-effort updates of the Prefect UI: errors are logged and ignored."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def best_effort(what: str) -> Generator[None]:
    """Ignore errors of Prefect in the `with` block; log that `what` could not be shown."""
    try:
        yield
    except Exception:  # Prefect's client and the libraries below it have no common error class
        logging.getLogger(__name__).warning("Prefect does not show: %s", what, exc_info=True)
