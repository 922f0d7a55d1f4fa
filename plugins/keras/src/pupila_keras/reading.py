"""Turns what goes wrong with a user's file into one sentence that names the file."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from pupila import PupilaError

_CAUSE = "Exception encountered:"


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
        raise PupilaError(f"{what}: {_reason(error)}") from error


def parsed(config: str | bytes) -> dict[str, Any]:
    """Return a model's config from its JSON.

    Raises:
        PupilaError: it is none, or no object.
    """
    with library("its config is no JSON"):
        value = json.loads(config)
    if not isinstance(value, dict):
        raise PupilaError(f"its config is a JSON {type(value).__name__}, not an object: damaged.")
    return cast("dict[str, Any]", value)


def _reason(error: Exception) -> str:
    """Return the line of a message that says why; Keras puts it last, after whole configs."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    causes = [line.partition(_CAUSE)[2] for line in lines if line.startswith(_CAUSE)]
    return causes[-1].strip() if causes else lines[0]
