"""The horizontal axis of a sweep's plot, and the text of its settings."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_LOGARITHMIC = 30
"""Positive numbers that span more than this factor get a logarithmic axis."""


@dataclass(frozen=True)
class Axis:
    """The swept setting that a plot uses as its axis, with its values in plotting order."""

    key: str
    values: tuple[Any, ...]
    numeric: bool

    @classmethod
    def of(cls, sweep: Mapping[str, tuple[Any, ...]]) -> Axis:
        """Return the axis of the first numeric setting, or of the first if none is numeric."""
        numeric = (key for key, values in sweep.items() if all(map(_is_number, values)))
        key = next(numeric, None)
        if key is not None:
            return cls(key, tuple(sorted(sweep[key])), numeric=True)
        key = next(iter(sweep))
        return cls(key, tuple(sweep[key]), numeric=False)

    @property
    def logarithmic(self) -> bool:
        if not self.numeric or min(self.values) <= 0:
            return False
        return max(self.values) > _LOGARITHMIC * min(self.values)

    def positions(self) -> list[float]:
        """Return the position of each value, 0..1; categories are equally spaced."""
        if len(self.values) == 1:
            return [0.5]
        numbers = [float(value) for value in self.values] if self.numeric else []
        if self.logarithmic:
            numbers = [math.log(number) for number in numbers]
        numbers = numbers or [float(row) for row in range(len(self.values))]
        low, high = min(numbers), max(numbers)
        return [(number - low) / (high - low) for number in numbers]


def write_value(value: Any) -> str:
    """Write a setting's value; equal values give equal text."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Return a short name for each setting: the name of its step is left out where possible."""
    all_keys = list(keys)
    short = {key: key.partition(".")[2] or key for key in all_keys}
    names = list(short.values())
    return {key: name if names.count(name) == 1 else key for key, name in short.items()}


def describe_settings(settings: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Write settings as `alpha = 0.1, temperature = 4`."""
    return ", ".join(f"{names.get(key, key)} = {write_value(v)}" for key, v in settings.items())


def _is_number(value: object) -> bool:
    finite = isinstance(value, int | float) and math.isfinite(value)
    return finite and not isinstance(value, bool)
