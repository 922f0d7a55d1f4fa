"""Writes folders of generated images atomically: a folder that exists is complete."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic_folder(folder: Path) -> Generator[Path]:
    """Yield an empty draft folder that replaces `folder` at the end, if nothing fails.

    Drafts that a killed process left are removed first. This is safe, because no two processes make
    the same folder at the same time.
    """
    for stale in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    draft = folder.with_name(f".{folder.name}-{uuid4().hex}")
    draft.mkdir(parents=True)
    try:
        yield draft
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
