"""What plugins give, as JSON has it: NumPy's numbers are taken, and what is wrong is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from reprlib import repr as shortened
from typing import Any, cast

import numpy as np
from pydantic import ValidationError
from pydantic_core import ErrorDetails


def plain(value: Any) -> Any:
    """Return a value whose NumPy numbers and arrays, at any depth, are numbers and lists."""
    match value:
        case np.generic() | np.ndarray():
            return value.tolist()
        case dict():
            return {plain(key): plain(each) for key, each in cast("Any", value).items()}
        case list() | tuple():
            return [plain(each) for each in cast("Any", value)]
        case _:
            return value


def unwritable(values: Mapping[str, Any]) -> str | None:
    """Say which of these values is not JSON, and why; None where all are."""
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
    """Say which fields of a model do not fit, what they are, and what was expected."""
    return "; ".join(_misfit(each) for each in error.errors())


def _misfit(error: ErrorDetails) -> str:
    place = ".".join(map(str, error["loc"]))
    received = f"{place!r} is {shortened(error['input'])}: " if place else ""
    return received + error["msg"].removeprefix("Value error, ")
