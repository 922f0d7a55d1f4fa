"""Turns what goes wrong with a user's file into one sentence that names the file."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pupila import PupilaError


@contextmanager
def naming(source: Path) -> Generator[None]:
    """Put the file's name before every complaint about it; an empty file is refused at once."""
    if source.is_file() and not source.stat().st_size:
        raise PupilaError(f"{str(source)!r} is empty: copy the model file again.")
    try:
        yield
    except PupilaError as error:
        raise PupilaError(f"{str(source)!r}: {error}") from error


@contextmanager
def library(what: str) -> Generator[None]:
    """Turn whatever a library raises over a file into one sentence: `what`, and the reason."""
    try:
        yield
    except Exception as error:  # parsers of damaged files raise anything
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise PupilaError(f"{what}: {lines[0]}") from error
