"""Turns errors about a user's file into an error of one sentence that names the file."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from pupila import PupilaError

_CAUSE = "Exception encountered:"
_MIXED = frozenset({"mixed_float16", "mixed_bfloat16"})
"""Names of the policies of Keras 2 and 3 for computing in 16 bits with weights of 32."""


@contextmanager
def file_errors(source: Path) -> Generator[None]:
    """Add the name of the file to each `PupilaError` raised in the `with` block.

    Raises:
        PupilaError: the file is empty, or the `with` block raised a `PupilaError`.
    """
    if source.is_file() and not source.stat().st_size:
        raise PupilaError(f"{str(source)!r} is empty: copy the model file again.")
    try:
        yield
    except PupilaError as error:
        raise PupilaError(f"{str(source)!r}: {error}") from error


@contextmanager
def library_errors(what: str) -> Generator[None]:
    """Turn any exception in the `with` block into a `PupilaError`: `what`, then the reason.

    Call libraries that read a user's file in this block: they raise many kinds of exceptions.
    """
    try:
        yield
    except Exception as error:  # parsers raise all kinds of errors about damaged files
        raise PupilaError(f"{what}: {_reason(error)}") from error


def parse_config(config: str | bytes) -> dict[str, Any]:
    """Parse the JSON of a model's config.

    Raises:
        PupilaError: the text is not JSON, or not a JSON object.
    """
    with library_errors("its config is not JSON"):
        value = json.loads(config)
    if not isinstance(value, dict):
        raise PupilaError(f"its config is a JSON {type(value).__name__}, not an object: damaged.")
    return cast("dict[str, Any]", value)


def for_inference(value: Any) -> Any:
    """Return a config without what only training needs, at every depth.

    That is losses and metrics, which may be functions of the user's own, and mixed precision: the
    weights are float32, and so is the model then.
    """
    if isinstance(value, list):
        return [for_inference(item) for item in cast("list[Any]", value)]
    if isinstance(value, str) and value in _MIXED:
        return "float32"
    if not isinstance(value, dict):
        return value
    items = cast("dict[str, Any]", value).items()
    return {name: for_inference(item) for name, item in items if name != "compile_config"}


def _reason(error: Exception) -> str:
    """Return the line of an error that gives its cause. Keras puts it last, after the config."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    causes = [line.partition(_CAUSE)[2] for line in lines if line.startswith(_CAUSE)]
    return causes[-1].strip() if causes else lines[0]
