"""Changes that one run makes to its recipe, by the form in the Prefect UI or by `--set`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

import yaml
from annotated_types import BaseMetadata
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import SkipJsonSchema

from pupila.errors import PupilaError
from pupila_flows.recipe.errors import explain
from pupila_flows.recipe.schema import Recipe
from pupila_flows.recipe.source import Location, RecipeError, Source, read_value


class _Partial(BaseModel):
    """A section with only the fields that are to be changed; an empty value changes nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        given = cast("dict[str, Any]", value)
        return {name: field for name, field in given.items() if field is not None}

    @model_serializer
    def _only_given(self) -> dict[str, Any]:
        given = self.model_fields_set
        return {name: getattr(self, name) for name in type(self).model_fields if name in given}


def _left_open(schema: dict[str, Any]) -> None:
    """Alter a field's schema so that the Prefect UI sends nothing if the field was not touched.

    The UI sends defaults, and `false` for a switch. So a switch becomes a choice of two values,
    which can be left open. A constant becomes a choice of one value, as the UI cannot change it
    otherwise.
    """
    schema.pop("default", None)
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if schema.get("type") == "boolean":
        del schema["type"]
        schema["enum"] = [True, False]


def _partial(section: type[BaseModel]) -> type[BaseModel]:
    """Return a section with the same fields, all of them optional."""
    fields = {field.alias or name: _optional(field) for name, field in section.model_fields.items()}
    return create_model(
        f"{section.__name__}Changes", __base__=_Partial, __doc__=section.__doc__, **fields
    )


def _optional(field: FieldInfo) -> Any:
    """Return the type and the options of an optional version of a field.

    The field keeps its bounds. The recipe checks everything else later.
    """
    kind = _bounded(_changed_type(field.annotation), field.metadata)
    options = Field(default=None, description=field.description, json_schema_extra=_left_open)
    return kind, options


def _bounded(kind: Any, metadata: Iterable[Any]) -> Any:
    """Return a type annotated with its bounds and converters; other metadata is dropped."""
    for constraint in metadata:
        if isinstance(constraint, BaseMetadata | FieldInfo | BeforeValidator):
            kind = Annotated[kind, constraint]
    return kind


def _changed_type(annotation: Any) -> Any:
    """Return an annotation with every section in it made partial, and without `None`."""
    if _is_section(annotation):
        return _partial(annotation)
    origin = get_origin(annotation)
    if origin is Annotated:
        kind, *metadata = get_args(annotation)
        return _bounded(_changed_type(kind), metadata)
    if origin not in (Union, UnionType, dict, tuple):
        return annotation
    arguments = [kind for kind in get_args(annotation) if kind is not type(None)]
    kinds = tuple(kind if kind is ... else _changed_type(kind) for kind in arguments)
    generic: Any = origin if origin in (dict, tuple) else Union
    return generic[kinds]


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


_LEGIBLE = 100
"""Maximum number of characters of a setting that a message shows."""
_Fields: Any = _partial(Recipe)


ADVANCED = "advanced"
"""Name of the group of a form that has the settings which few runs change."""


class Changes(_Fields):
    """What this run changes in its recipe; a field that is left empty keeps the recipe's value.

    Mappings are merged by name, so `steps: {pupil: {with: {epochs: 3}}}` changes only `epochs`.
    """

    by_name: SkipJsonSchema[dict[str, Any]] = Field(default_factory=dict)
    """Values by the names that settings have in the form of a recipe: `{steps.pupil.epochs: 3}`."""

    @model_validator(mode="before")
    @classmethod
    def _with_names(cls, value: Any) -> Any:
        """Collect the names of settings, which have dots or are advanced."""
        if not isinstance(value, dict):
            return value
        given = dict(cast("dict[str, Any]", value))
        named = {name: given.pop(name) for name in list(given) if "." in name}
        advanced: Any = given.pop(ADVANCED, None) or {}
        if not isinstance(advanced, dict):
            raise ValueError(f"{ADVANCED} is {advanced!r}: expected settings by name")
        if named or advanced:
            given["by_name"] = {**given.get("by_name", {}), **named, **advanced}
        return given

    def given(self) -> dict[str, Any]:
        """Return the fields that were filled in, as they would stand in a recipe."""
        given = self.model_dump(mode="json")
        return {name: value for name, value in given.items() if name != "by_name"}


def parse_changes(settings: Iterable[str], source: Source) -> Changes:
    """Read settings like `steps.pupil.with.epochs=3`; values are YAML.

    A name that contains dots is recognised if the recipe, `source`, has that name.

    Raises:
        PupilaError: a setting has no name or no value.
        RecipeError: a setting is not valid in a recipe.
    """
    values: list[tuple[str, Any]] = []
    for setting in settings:
        key, equals, text = setting.partition("=")
        value = _value(setting, text)
        if not (key and equals) or value is None:
            raise PupilaError(
                f"{setting!r} changes nothing: write `--set name=value`, "
                "as in `--set steps.pupil.with.epochs=3`."
            )
        values.append((key, value))
    return changes_of(values, source)


def changes_of(values: Iterable[tuple[str, Any]], source: Source) -> Changes:
    """Return the changes that settings make, given as names like `steps.pupil.with.epochs`.

    Raises:
        RecipeError: a setting is not valid in a recipe.
    """
    given: dict[str, Any] = {}
    for key, value in values:
        given = merge(given, nest(key.split("."), value, source.value))
    try:
        _Fields.model_validate(given)  # a recipe has no groups, as a form has
        return Changes.model_validate(given)
    except ValidationError as error:
        raise RecipeError(explain(error, _changed_by(given, source), Recipe)) from None


def _value(setting: str, text: str) -> Any:
    try:
        return read_value(text)
    except PupilaError as reason:
        shown = setting if len(setting) <= _LEGIBLE else f"{setting[:_LEGIBLE]}…"
        raise PupilaError(f"{shown!r} is not YAML after the '=': {reason}.") from None


def nest(parts: Sequence[str], value: Any, known: Any = None) -> Any:
    """Return `{first: {second: … value}}`; parts that form a name in `known` are joined by dots."""
    if not parts:
        return value
    names = cast("dict[str, Any]", known) if isinstance(known, dict) else {}
    lengths = range(len(parts), 0, -1)
    taken = next((n for n in lengths if ".".join(parts[:n]) in names), 1)
    name = ".".join(parts[:taken])
    return {name: nest(parts[taken:], value, names.get(name))}


def merge(value: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with changes: inner mappings are merged, other values are replaced."""
    result = dict(value)
    for name, change in changes.items():
        old = result.get(name)
        both = isinstance(old, dict) and isinstance(change, dict)
        result[name] = (
            merge(cast("dict[str, Any]", old), cast("dict[str, Any]", change)) if both else change
        )
    return result


def apply_changes(source: Source, changes: Changes) -> Source:
    """Return a recipe with changes applied; if nothing changes, return `source`."""
    made = _changed_by(changes.given(), source)
    return source if made.value == source.value else made


def _changed_by(given: dict[str, Any], source: Source) -> Source:
    value, leaves = merge(source.value, given), dict(_leaves(given, ()))
    return replace(
        source,
        text=yaml.safe_dump(value, sort_keys=False, allow_unicode=True),
        value=value,
        scalars=source.scalars | {where: str(leaf) for where, leaf in leaves.items()},
        changed=frozenset(leaves),
    )


def _leaves(value: Any, location: Location) -> Iterator[tuple[Location, Any]]:
    """Yield location and value of everything in `value` that is not a mapping."""
    if isinstance(value, dict):
        for name, child in cast("dict[str, Any]", value).items():
            yield from _leaves(child, (*location, name))
    else:
        yield location, value
