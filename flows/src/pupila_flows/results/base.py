"""The base of everything in a result."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ResultModel(BaseModel):
    """Base class: frozen; refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
