"""Keeps other people's chatter out of the terminal, and in a file."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def logged_to(path: Path) -> Generator[None]:
    """Send log lines, Prefect's among them, to a file while the block lasts.

    Prefect leaves the root logger alone if it has a handler when Prefect is first imported, so
    that must happen inside the block.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)
        handler.close()
