"""The settings in which two recipes differ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pupila_flows.recipe.source import parse_source


class Change(BaseModel):
    """One difference between two runs or two versions."""

    model_config = ConfigDict(frozen=True)

    what: str = Field(description="What differs, as `steps.pupil.with.epochs` or `int8: accuracy`.")
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.what}: {self.before} → {self.after}"


_FILE = Path("recipe.yaml")

ABSENT = "—"
"""What stands for a value that one of the two does not have."""


def setting_changes(before: str, after: str) -> list[Change]:
    """Return the settings in which two recipes, given as YAML texts, differ.

    Comments and the order of keys do not count. A list is one value.
    """
    old, new = (dict(_settings(parse_source(_FILE, text).value, "")) for text in (before, after))
    return [
        Change(what=name, before=old.get(name, ABSENT), after=new.get(name, ABSENT))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def _settings(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield each setting as its name, `steps.pupil.use`, and its value as JSON."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType] - any YAML
            yield from _settings(inner, f"{name}.{key}" if name else str(key))  # pyright: ignore[reportUnknownArgumentType]
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
