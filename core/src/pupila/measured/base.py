"""`Measured`: a flat JSON object of what a plugin measured, written and read by type."""

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
"""How far a mean that Keras computes in float32 may lie outside the range of its values."""

Fraction = Annotated[float, Field(ge=-_ROUNDING, le=1 + _ROUNDING)]
"""Type of a fraction in 0..1, with a tolerance for rounding."""
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Clock:
    """Marks a field as a measured time, which differs between runs of the same work.

    Measured times are stored beside an artifact's record and do not change its digest.
    """


Seconds = Annotated[float, Field(ge=0), Clock()]
Milliseconds = Annotated[float, Field(gt=0), Clock()]


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Difference = Annotated[float | None, BeforeValidator(_finite)]
"""Type of a difference of outputs. NaN and infinity, as from a defective model, become None."""


class MeasuredFields(BaseModel):
    """Base class for models of measured values: frozen, with finite numbers.

    Unknown fields are ignored.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Interval(MeasuredFields):
    """A fraction with its 95 % interval."""

    value: Fraction = Field(description="The fraction, 0..1.")
    low: Fraction = Field(description="Lower end of the interval.")
    high: Fraction = Field(description="Upper end of the interval.")
    method: str = Field(default="", description="How the interval was computed, with its source.")

    @classmethod
    def of(cls, estimate: Estimate) -> Interval:
        """Return the `Interval` of an `Estimate`."""
        return cls(**estimate.model_dump())


class PluginWarning(MeasuredFields):
    """A warning that the report shows beside the artifact."""

    warning: str = Field(description="What the user should know, in one or two sentences.")


Timings = dict[str, Any]
"""Measured times; each key is the path to a value, such as `seconds` or `candidates/3/seconds`."""

_Path = tuple[str | int, ...]
"""Keys and indices that lead to a value in nested JSON."""


class Measured(Mapping[str, Any]):
    """An immutable mapping of what a step measured: JSON values by name.

    The constructor takes pydantic models, and mappings of other values; numbers may be NumPy's. If
    two values have the same name, the last one counts. A `Measured` may contain several models: for
    a distilled student, a `TrainingSummary` and a `TeacherAgreement`.

    Only JSON is stored, digested and published; `read` makes a model from it. So an artifact of
    another version or package is never refused: if its values do not fit a model, `read` returns
    None. Fields that were not set are not written.

    Measured times are the fields marked with `Clock`, and the values given as `clock`. They can be
    read like all other values, but are not part of the stored JSON; `timings` contains them.
    """

    def __init__(
        self, *parts: BaseModel | Mapping[str, Any], clock: Mapping[str, Any] | None = None
    ) -> None:
        self._values: dict[str, Any] = {}
        self._clock: set[_Path] = set()
        for part in parts:
            self._add(_json(part), _clock_paths(part))
        if clock:
            self._add(clock, {(name,) for name in clock})

    def _add(self, values: Mapping[str, Any], clock: set[_Path]) -> None:
        """Add values, replacing earlier values of the same names."""
        self._clock = {path for path in self._clock if path[0] not in values} | clock
        self._values |= plain(dict(values))

    @property
    def timings(self) -> Timings:
        """The measured times, as `{path to the value: time}`."""
        return {
            "/".join(map(str, path)): _parent(self._values, path)[path[-1]]
            for path in sorted(self._clock, key=str)
        }

    def with_timings(self, timings: Timings) -> Measured:
        """Return a copy with measured times added; existing values are not replaced."""
        timed = Measured(deepcopy(self._values))
        timed._clock = set(self._clock)
        for text, value in timings.items():
            path = tuple(int(part) if part.isdecimal() else part for part in text.split("/"))
            parent = _parent(timed._values, path)
            if isinstance(parent, dict) and path[-1] not in parent:
                parent[path[-1]] = value
                timed._clock.add(path)
        return timed

    def _without_timings(self) -> dict[str, Any]:
        """Return the values without measured times."""
        if not self._clock:
            return self._values
        values = deepcopy(self._values)
        for path in self._clock:
            del _parent(values, path)[path[-1]]
        return values

    def read(self, kind: type[Kind]) -> Kind | None:
        """Return the values as a model of type `kind`; None if values do not fit the model."""
        known = {name: self[name] for name in kind.model_fields if name in self}
        try:
            return kind.model_validate(known)
        except ValidationError:
            return None

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Measured({self._values!r})"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let pydantic read and write a `Measured` as a plain JSON object."""
        values = handler(dict[str, Any])

        def read(value: Any, validate: Any) -> Measured:
            return value if isinstance(value, cls) else cls(validate(value))

        return core_schema.no_info_wrap_validator_function(
            read,
            values,
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls._without_timings, return_schema=values
            ),
        )


def _json(part: BaseModel | Mapping[str, Any]) -> Mapping[str, Any]:
    return part.model_dump(mode="json", exclude_unset=True) if isinstance(part, BaseModel) else part


def _parent(values: Any, path: _Path) -> Any:
    """Return the object or list that contains the value at a path; None if there is none."""
    for key in path[:-1]:
        try:
            values = values[key]
        except (LookupError, TypeError):
            return None
    return values


def _clock_paths(value: Any) -> set[_Path]:
    """Return the paths of the measured times in a model or a `Measured`."""
    return set(_walk_clock_paths(value)) if isinstance(value, BaseModel | Measured) else set()


def _walk_clock_paths(value: Any) -> Iterator[_Path]:
    match value:
        case Measured():
            yield from value._clock  # pyright: ignore[reportPrivateUsage] - its own class
        case BaseModel():
            for name in value.model_fields_set & type(value).model_fields.keys():
                if _is_marked(type(value).model_fields[name]):
                    yield (name,)
                else:
                    inner = getattr(value, name)
                    yield from ((name, *path) for path in _walk_clock_paths(inner))
        case list() | tuple():
            for position, item in enumerate(cast("Sequence[Any]", value)):
                yield from ((position, *path) for path in _walk_clock_paths(item))
        case _:
            pass


def _is_marked(field: FieldInfo) -> bool:
    """Tell whether a field is marked with `Clock`, as `Seconds` and `Seconds | None` are."""
    inside = (mark for kind in get_args(field.annotation) for mark in get_args(kind))
    return any(isinstance(mark, Clock) for mark in (*field.metadata, *inside))
