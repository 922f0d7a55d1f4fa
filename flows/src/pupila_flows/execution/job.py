"""A job: work that runs in a separate process, and whose result is remembered under a key."""

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
from pupila.errors import PluginFailed, PupilaError
from pupila.plugin_failures import blame
from pupila.plugin_registry import installed
from pupila.runtime import Progress
from pupila_flows.workspace import Workspace

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Keyed:
    """Marks a field whose value enters the job's key only in part, or not at all."""

    by: Callable[[Any], Any] | None
    """Function from the field's value to the JSON value in the key; None leaves the field out."""


NOT_KEYED = Keyed(None)
"""Marks a field that the result does not depend on: a folder, a title, a time limit."""


class Job(BaseModel, ABC, Generic[ResultT]):
    """Base of the classes in `pupila_flows.jobs`; a job's fields are its arguments.

    All fields are part of the key, except fields marked `NOT_KEYED` and the parts of fields that
    `Keyed` leaves out. So everything that the result depends on, such as versions of code, must be
    a field. The job's process receives the fields as JSON, and returns the result as JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    returns: ClassVar[Any]
    """Type of the result: a pydantic model, or a union of pydantic models."""
    runs_models: ClassVar[bool] = False
    """Whether the job trains or runs models; if so, `model_threads` is part of its key."""
    may_run_elsewhere: ClassVar[bool] = False
    """Whether a cluster's worker may do the job; False for jobs that measure latencies."""
    seconds_allowed: ClassVar[float | None] = None
    """Time limit in seconds; None for no limit."""

    workspace: Annotated[Workspace, NOT_KEYED]
    title: Annotated[str, NOT_KEYED]
    """Name of the job in the terminal, in Prefect's UI and in the log's file name."""
    model_threads: int | None = None
    """Number of threads that models use, set by the session; None if the job runs no models."""

    @abstractmethod
    def run(self, progress: Progress) -> ResultT:
        """Do the job; called in a separate process.

        Raises:
            PupilaError: the input of the job is wrong.
        """

    def is_intact(self, result: ResultT) -> bool:
        """Return whether the files that a remembered result names still exist unchanged."""
        del result
        return True

    def with_threads(self, count: int) -> Self:
        """Return a copy with `model_threads` set; if the job runs no models, the job itself."""
        return self.model_copy(update={"model_threads": count}) if self.runs_models else self

    @property
    def timeout_seconds(self) -> float | None:
        """Time after which the job is stopped; None for no limit."""
        return self.seconds_allowed

    @property
    def farms_out(self) -> bool:
        """Whether the job sends subtasks to a cluster's workers, and mostly waits for them."""
        return False

    def identity(self) -> dict[str, Any]:
        """Return what the result depends on, as JSON: the keyed fields by name."""
        return _keyed_fields(self)

    @property
    def key(self) -> str:
        """Digest of the job's class and identity, under which the ledger remembers the result."""
        return digest_json([type(self).__name__, self.identity()])

    @property
    def target(self) -> str:
        """The function that `execution.child` calls in the job's process: `module:attribute`."""
        return f"{type(self).__module__}:{type(self).__name__}.call"

    @classmethod
    def call(cls, *, progress: Progress, **arguments: Any) -> dict[str, Any]:
        """Entry point of the job's process: read the fields, do the job, return JSON.

        Raises:
            PupilaError: the input of the job is wrong.
            PluginFailed: the code of a plugin raised anything else.
        """
        job = cls.model_validate(arguments)
        try:
            return cls.to_json(job.run(progress))
        except PupilaError:
            raise
        except Exception as error:
            failed = error if isinstance(error, PluginFailed) else blame(error, installed().plugins)
            if failed is None:
                raise
            raise PluginFailed(f"{failed}, in {job.title!r}") from error

    @classmethod
    def to_json(cls, result: ResultT) -> dict[str, Any]:
        """Return a result as JSON values."""
        return TypeAdapter(cls.returns).dump_python(result, mode="json")

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ResultT:
        """Return the result that `to_json` has turned into the JSON value `value`."""
        return TypeAdapter(cls.returns).validate_python(value)


@dataclass(frozen=True)
class JobResult(Generic[ResultT]):
    """The result of a job in this run."""

    value: ResultT
    cached: bool = False
    """Whether the result was remembered from earlier, and not computed in this run."""
    seconds: float = 0.0


def _keyed_fields(model: BaseModel) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        keyed, value = _mark_of(field), getattr(model, name)
        if keyed is None:
            fields[name] = _keyed_value(value)
        elif keyed.by is not None:
            fields[name] = value if value is None else keyed.by(value)
    return fields


def _keyed_value(value: Any) -> Any:
    """Return the key's part of a value without a mark; marks inside it count."""
    match value:
        case BaseModel():
            return _keyed_fields(value)
        case dict():
            return {key: _keyed_value(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType] - of any job
        case list() | tuple():
            return [_keyed_value(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - of any job
        case _:
            return to_jsonable_python(value, inf_nan_mode="constants")


def _mark_of(field: FieldInfo) -> Keyed | None:
    """Return the mark of a field: in `Annotated[X, mark]` or `Annotated[X, mark] | None`."""
    is_union = get_origin(field.annotation) in (Union, UnionType)
    kinds = get_args(field.annotation) if is_union else ()
    inside = (argument for kind in kinds for argument in get_args(kind))
    return next((mark for mark in (*field.metadata, *inside) if isinstance(mark, Keyed)), None)
