"""Converts values that plugins return to JSON values, and describes values that do not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from reprlib import repr as shortened
from typing import Any, cast

import numpy as np
from pydantic import ValidationError
from pydantic_core import ErrorDetails


def plain(value: Any) -> Any:
    """Return a value in which Python's numbers and lists replace NumPy's numbers and arrays."""
    match value:
        case np.generic() | np.ndarray():
            return value.tolist()
        case dict():
            return {plain(key): plain(item) for key, item in cast("Any", value).items()}
        case list() | tuple():
            return [plain(item) for item in cast("Any", value)]
        case _:
            return value


def unwritable(values: Mapping[str, Any]) -> str | None:
    """Return which value cannot be written as JSON, and why; None if all values can."""
    for name, value in values.items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            return (
                f"{name!r} is {shortened(value)}, where JSON was expected: numbers, texts, true, "
                f"false, null, and lists and objects of these ({error})"
            )
    return None


def misfits(error: ValidationError) -> str:
    """Describe a validation error: which fields are wrong, their values, what was expected."""
    return "; ".join(_misfit(details) for details in error.errors())


def _misfit(error: ErrorDetails) -> str:
    field = ".".join(map(str, error["loc"]))
    received = f"{field!r} is {shortened(error['input'])}: " if field else ""
    return received + error["msg"].removeprefix("Value error, ")
