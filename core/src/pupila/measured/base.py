"""What a plugin measured: a flat JSON object that is written by type and read by type."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from pupila.evaluation import Estimate
from pupila.plain import plain

Kind = TypeVar("Kind", bound=BaseModel)

_ROUNDING = 1e-6
"""By so much a mean in float32, as Keras takes it, may lie outside the range of its values."""

Fraction = Annotated[float, Field(ge=-_ROUNDING, le=1 + _ROUNDING)]
"""A part of a whole, 0..1."""
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Clock:
    """Marks a field that a clock measured: another run of the same work measures something else.

    Such figures are kept beside an artifact and have no part in its digest.
    """


Seconds = Annotated[float, Field(ge=0), Clock()]
Milliseconds = Annotated[float, Field(gt=0), Clock()]


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Difference = Annotated[float | None, BeforeValidator(_finite)]
"""None, and so null in JSON, where a defective model answers what is not a number."""


class MeasuredFields(BaseModel):
    """Base of the models here: frozen, finite, and silent about fields that others added."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Interval(MeasuredFields):
    """A fraction with its 95 % interval."""

    value: Fraction = Field(description="What was counted, 0..1.")
    low: Fraction = Field(description="Lower end of the interval.")
    high: Fraction = Field(description="Upper end of the interval.")
    method: str = Field(default="", description="How the interval was computed, with its source.")

    @classmethod
    def of(cls, estimate: Estimate) -> Interval:
        """Return an estimate of `pupila.metrics` as an interval."""
        return cls(**estimate.model_dump())


class PluginWarning(MeasuredFields):
    """A warning that the report shows beside the artifact."""

    warning: str = Field(description="What the user should know, in one or two sentences.")


Timings = dict[str, Any]
"""What a clock measured, by its place among the figures: `seconds`, `candidates/3/seconds`."""

_Place = tuple[str | int, ...]
"""Keys and positions that lead to a figure."""


class Measured(Mapping[str, Any]):
    """Figures by name, as JSON values; immutable.

    It is put together from models, and from mappings of figures that have no model, whose numbers
    may be NumPy's; of two figures of one name the last counts. Several models may lie in it side by
    side: a student that was distilled has a `TrainingSummary` and a `TeacherAgreement`.

    The JSON is what is kept, digested and published. Models are views of it, so an artifact that
    another version or another package wrote is never refused: what does not look like a model is
    not read as one. Nothing that was not set is written.

    What a clock measured, marked fields of models and the names in `clock`, is read as all others
    are, but has no part in that JSON: `timings` has it.
    """

    def __init__(
        self, *parts: BaseModel | Mapping[str, Any], clock: Mapping[str, Any] | None = None
    ) -> None:
        self._figures: dict[str, Any] = {}
        self._clock: set[_Place] = set()
        for part in parts:
            self._put(_json(part), _clocked(part))
        if clock:
            self._put(clock, {(name,) for name in clock})

    def _put(self, figures: Mapping[str, Any], clock: set[_Place]) -> None:
        """Add figures; those of a name that is there already are replaced."""
        self._clock = {place for place in self._clock if place[0] not in figures} | clock
        self._figures |= plain(dict(figures))

    @property
    def timings(self) -> Timings:
        """What a clock measured."""
        return {
            "/".join(map(str, place)): _inside(self._figures, place)[place[-1]]
            for place in sorted(self._clock, key=str)
        }

    def timed(self, timings: Timings) -> Measured:
        """Return the same figures with what a clock measured; it replaces none of them."""
        found = Measured(deepcopy(self._figures))
        found._clock = set(self._clock)
        for text, value in timings.items():
            place = tuple(int(part) if part.isdecimal() else part for part in text.split("/"))
            inside = _inside(found._figures, place)
            if isinstance(inside, dict) and place[-1] not in inside:
                inside[place[-1]] = value
                found._clock.add(place)
        return found

    def _lasting(self) -> dict[str, Any]:
        """Return the figures without what a clock measured."""
        if not self._clock:
            return self._figures
        figures = deepcopy(self._figures)
        for place in self._clock:
            del _inside(figures, place)[place[-1]]
        return figures

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

        def read(value: Any, validate: Any) -> Measured:
            return value if isinstance(value, cls) else cls(validate(value))

        return core_schema.no_info_wrap_validator_function(
            read,
            figures,
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls._lasting, return_schema=figures
            ),
        )


def _json(part: BaseModel | Mapping[str, Any]) -> Mapping[str, Any]:
    return part.model_dump(mode="json", exclude_unset=True) if isinstance(part, BaseModel) else part


def _inside(figures: Any, place: _Place) -> Any:
    """Return the object that the last key of a place is one of; None where there is none."""
    for key in place[:-1]:
        try:
            figures = figures[key]
        except (LookupError, TypeError):
            return None
    return figures


def _clocked(value: Any) -> set[_Place]:
    """Return where in a part stand figures that a clock measured."""
    return set(_clock_places(value)) if isinstance(value, BaseModel | Measured) else set()


def _clock_places(value: Any) -> Iterator[_Place]:
    match value:
        case Measured():
            yield from value._clock  # pyright: ignore[reportPrivateUsage] - its own class
        case BaseModel():
            for name in value.model_fields_set & type(value).model_fields.keys():
                if _is_clocked(type(value).model_fields[name]):
                    yield (name,)
                else:
                    inner = getattr(value, name)
                    yield from ((name, *place) for place in _clock_places(inner))
        case list() | tuple():
            for position, item in enumerate(cast("Sequence[Any]", value)):
                yield from ((position, *place) for place in _clock_places(item))
        case _:
            pass


def _is_clocked(field: FieldInfo) -> bool:
    """Tell whether a field is marked, as `Seconds` is, and `Seconds | None`."""
    inside = (mark for kind in get_args(field.annotation) for mark in get_args(kind))
    return any(isinstance(mark, Clock) for mark in (*field.metadata, *inside))
