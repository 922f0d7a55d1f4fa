"""A job: one piece of a run, known by a key, done in a process of its own, and remembered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from pupila.digest import digest_json
from pupila.runtime import Progress
from pupila_flows.workspace import Workspace

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Keyed:
    """What of a field is part of a job's key, where that is not the whole value."""

    by: Callable[[Any], Any] | None
    """Returns a JSON value; None where the result does not depend on the field."""


NOT_KEYED = Keyed(None)
"""Marks a field on which the result does not depend: a folder, a title, a time limit."""


class Job(BaseModel, ABC, Generic[ResultT]):
    """Base of the classes in `pupila_flows.jobs`; the fields are all that a job is given.

    All fields are part of the key, but for those marked `NOT_KEYED` and what `Keyed` leaves out.
    So what the result depends on beside its arguments, such as versions, is a field too. Fields
    are written as JSON to get into the job's process, and so is the result to get back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    returns: ClassVar[Any]
    """Type of the result: a pydantic model, or a union of some."""
    runs_models: ClassVar[bool] = False
    """Whether models are trained or asked in its process: its key then has `model_threads`."""
    may_run_elsewhere: ClassVar[bool] = False
    """Whether a worker of a cluster may do it; a latency is of the machine that it names."""
    seconds_allowed: ClassVar[float | None] = None
    """None where it may take as long as it takes."""

    workspace: Annotated[Workspace, NOT_KEYED]
    title: Annotated[str, NOT_KEYED]
    """What terminal, Prefect's UI and the name of the log call it."""
    model_threads: int | None = None
    """With how many threads models compute; None where none does. A session gives it."""

    @abstractmethod
    def run(self, progress: Progress) -> ResultT:
        """Do the job; called in a process of its own.

        Raises:
            PupilaError: what it was given is wrong.
        """

    def is_intact(self, result: ResultT) -> bool:
        """Tell whether the files that a remembered result names are still there, unaltered."""
        del result
        return True

    def with_threads(self, count: int) -> Self:
        """Return the same job with so many threads for models, where it has to do with any."""
        return self.model_copy(update={"model_threads": count}) if self.runs_models else self

    @property
    def timeout_seconds(self) -> float | None:
        """After how long it is stopped; None for never."""
        return self.seconds_allowed

    @property
    def farms_out(self) -> bool:
        """Whether it has parts of it done by a cluster's workers, and itself mostly waits."""
        return False

    def identity(self) -> dict[str, Any]:
        """Return all that the result depends on, as JSON: the keyed fields by name."""
        return _keyed_fields(self)

    @property
    def key(self) -> str:
        """Digest under which the result is remembered."""
        return digest_json([type(self).__name__, self.identity()])

    @property
    def target(self) -> str:
        """What `execution.child` calls in the job's process, as `module:attribute`."""
        return f"{type(self).__module__}:{type(self).__name__}.call"

    @classmethod
    def call(cls, *, progress: Progress, **arguments: Any) -> dict[str, Any]:
        """Be the job's process: read the fields, do the job, and return its result as JSON."""
        return cls.written(cls.model_validate(arguments).run(progress))

    @classmethod
    def written(cls, result: ResultT) -> dict[str, Any]:
        """Return a result as JSON."""
        return TypeAdapter(cls.returns).dump_python(result, mode="json")

    @classmethod
    def read(cls, value: dict[str, Any]) -> ResultT:
        """Return a result from JSON."""
        return TypeAdapter(cls.returns).validate_python(value)


@dataclass(frozen=True)
class JobResult(Generic[ResultT]):
    """What came of a job in this run."""

    value: ResultT
    cached: bool = False
    """Whether it was remembered, and nothing was executed."""
    seconds: float = 0.0


def _keyed_fields(model: BaseModel) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        keyed, value = _mark_of(field), getattr(model, name)
        if keyed is None:
            found[name] = _keyed_value(value)
        elif keyed.by is not None:
            found[name] = value if value is None else keyed.by(value)
    return found


def _keyed_value(value: Any) -> Any:
    """Return what of a value without a mark is part of the key: marks inside of it count."""
    match value:
        case BaseModel():
            return _keyed_fields(value)
        case dict():
            return {key: _keyed_value(each) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType] - of any job
        case list() | tuple():
            return [_keyed_value(each) for each in value]  # pyright: ignore[reportUnknownVariableType] - of any job
        case _:
            return to_jsonable_python(value, inf_nan_mode="constants")


def _mark_of(field: FieldInfo) -> Keyed | None:
    """Return the mark of a field, of `Annotated[X, mark]` and of `Annotated[X, mark] | None`."""
    is_union = get_origin(field.annotation) in (Union, UnionType)
    kinds = get_args(field.annotation) if is_union else ()
    inside = (each for kind in kinds for each in get_args(kind))
    return next((each for each in (*field.metadata, *inside) if isinstance(each, Keyed)), None)
