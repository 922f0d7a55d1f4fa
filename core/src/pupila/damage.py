"""Files of ours that were damaged on disk: put aside, told in one line, and made again."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

_log = logging.getLogger(__name__)


def read_json(path: Path) -> Any:
    """Return the value in a file; None where there is none, or it is damaged and was put aside."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        put_aside(path)
        return None


def put_aside(path: Path, therefore: str = "it is made again") -> None:
    """Rename a file that cannot be read, and say so; whoever calls makes it again, as a rule.

    What is said goes to the log `pupila`: a process that does a job sends it to the one that
    started it.
    """
    aside = path.with_name(f"{path.name}.damaged-{uuid4().hex[:8]}")
    with suppress(FileNotFoundError):  # another process was first
        path.replace(aside)
    _log.warning("%s is damaged: %s, and was put aside as %s.", path, therefore, aside.name)
