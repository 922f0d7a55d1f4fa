"""Sends what Prefect logs to a file, so that it does not appear among a command's output."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path


class LogFile(logging.FileHandler):
    """Log handler that drops lines it cannot write, for example to a full disk.

    The job that needs the disk reports the error. The class name has no leading underscore, since
    Prefect ignores handlers whose class name begins with an underscore.
    """

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        del record

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def log_to(path: Path) -> Generator[None]:
    """Inside the `with` block, send log lines, Prefect's included, to a file.

    Prefect must not be imported before the block: during its import, it sets up the root logger
    unless the root logger already has a handler.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = LogFile(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)
        handler.close()
