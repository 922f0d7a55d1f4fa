"""The base of every section of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section of a recipe: unknown fields are mistakes, and all numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    former_names: ClassVar[Mapping[str, str]] = {}
    """Fields that were renamed, as `{"old": "new"}`: see `pupila.plugin.Config`."""
    former_values: ClassVar[Mapping[str, Mapping[str, str]]] = {}
