"""Renames damaged files that Pupila wrote, so that they can be made again, and logs a warning."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

_log = logging.getLogger(__name__)


def read_json(path: Path) -> Any:
    """Return the JSON value in a file; None if the file is missing or damaged.

    A damaged file is put aside (see `put_aside`).
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        put_aside(path)
        return None


def put_aside(path: Path, therefore: str = "it is made again") -> None:
    """Rename a damaged file and log a warning.

    `therefore` is the part of the warning that says what happens next: normally the caller makes
    the file again. The warning goes to the logger `pupila.damage`; a child process forwards it to
    its parent.
    """
    aside = path.with_name(f"{path.name}.damaged-{uuid4().hex[:8]}")
    with suppress(FileNotFoundError):  # another process was first
        path.replace(aside)
    _log.warning("%s is damaged: %s, and was put aside as %s.", path, therefore, aside.name)
