"""Folders of images that a run makes: each is there as a whole, or it is made again."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def whole(folder: Path) -> Generator[Path]:
    """Yield an empty folder that takes the place of `folder` in the end, if nothing fails.

    What a killed process left of it goes first: nobody else makes the same at the same time.
    """
    for left in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    draft = folder.with_name(f".{folder.name}-{uuid4().hex}")
    draft.mkdir(parents=True)
    try:
        yield draft
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
