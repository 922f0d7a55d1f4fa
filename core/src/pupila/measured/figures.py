"""What a plugin measured: a flat JSON object that is written by type and read by type."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
)
from pydantic_core import CoreSchema, core_schema

from pupila.evaluation import Estimate

Kind = TypeVar("Kind", bound=BaseModel)

_ROUNDING = 1e-6
"""By so much a mean in float32, as Keras takes it, may lie outside the range of its values."""

Fraction = Annotated[float, Field(ge=-_ROUNDING, le=1 + _ROUNDING)]
"""A part of a whole, 0..1."""
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Difference = Annotated[float | None, BeforeValidator(_finite)]
"""None, and so null in JSON, where a defective model answers what is not a number."""


class MeasuredPart(BaseModel):
    """Base of the models here: frozen, finite, and silent about fields that others added."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Interval(MeasuredPart):
    """A fraction with its 95 % interval."""

    value: Fraction = Field(description="What was counted, 0..1.")
    low: Fraction = Field(description="Lower end of the interval.")
    high: Fraction = Field(description="Upper end of the interval.")
    method: str = Field(default="", description="How the interval was computed, with its source.")

    @classmethod
    def of(cls, estimate: Estimate) -> Interval:
        """Return an estimate of `pupila.metrics` as an interval."""
        return cls(**estimate.model_dump())


class PluginWarning(MeasuredPart):
    """A warning that the report shows beside the artifact."""

    warning: str = Field(description="What the user should know, in one or two sentences.")


class Measured(Mapping[str, Any]):
    """Figures by name, as JSON values; immutable.

    It is put together from models, and from mappings of figures that have no model; of two figures
    of one name the last counts. Several models may lie in it side by side: a student that was
    distilled has a `TrainingSummary` and a `TeacherAgreement`.

    The JSON is what is kept, digested and published. Models are views of it, so an artifact that
    another version or another package wrote is never refused: what does not look like a model is
    not read as one. Nothing that was not set is written.
    """

    def __init__(self, *parts: BaseModel | Mapping[str, Any]) -> None:
        self._figures: dict[str, Any] = {}
        for part in parts:
            self._figures |= _json(part)

    def read(self, kind: type[Kind]) -> Kind | None:
        """Return the figures that are fields of `kind`, or None where they do not make one."""
        known = {name: self[name] for name in kind.model_fields if name in self}
        try:
            return kind.model_validate(known)
        except ValidationError:
            return None

    def __getitem__(self, name: str) -> Any:
        return self._figures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)

    def __repr__(self) -> str:
        return f"Measured({self._figures!r})"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Read and write it as the JSON object that it is."""
        figures = handler(dict[str, Any])
        return core_schema.no_info_after_validator_function(
            cls,
            figures,
            serialization=core_schema.plain_serializer_function_ser_schema(
                dict, return_schema=figures
            ),
        )


def _json(part: BaseModel | Mapping[str, Any]) -> Mapping[str, Any]:
    return part.model_dump(mode="json", exclude_unset=True) if isinstance(part, BaseModel) else part
