"""Turns pydantic's errors into plain sentences with line numbers and suggested names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pupila.errors import join_names, nearest
from pupila_flows.recipe.schema import model_in
from pupila_flows.recipe.source import Location, Problem, Source

_SENTENCES = {
    "string_type": "must be text",
    "string_unicode": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of names to values",
    "too_short": "needs {min_length} or more entries, and has {actual_length}",
    "too_long": "takes {max_length} entries at most, and has {actual_length}",
    "string_too_short": "needs {min_length} or more characters",
    "string_too_long": "takes {max_length} characters at most",
}
_KEY = "[key]"
"""Last part of pydantic's location of an error in the key of a mapping."""


def explain(
    error: ValidationError, source: Source, model: type[BaseModel], base: Location = ()
) -> list[Problem]:
    """Return the problems that pydantic found in a section, each with its line in the recipe.

    `model` is the class of the section, and `base` is its location. Repeated problems are dropped.
    """
    errors = mistakes(error, source, model, base)
    return [source.problem(location, message) for location, message in errors]


def mistakes(
    error: ValidationError, source: Source, model: type[BaseModel], base: Location = ()
) -> list[tuple[Location, str]]:
    """Return location and message of each error that pydantic found in a section.

    `model` is the class of the section, and `base` is its location. Repeated errors are dropped.
    """
    details = error.errors(include_url=False)
    causes = [detail for detail in details if not _follows(detail, details)]
    return list(dict(_describe(detail, source, model, base) for detail in causes).items())


def sentence(detail: ErrorDetails) -> str:
    """Return what a correct value must be, in words such as `must be a whole number`."""
    plain = _SENTENCES.get(detail["type"])
    if plain:
        return plain.format(**detail.get("ctx", {}))
    return detail["msg"].removeprefix("Value error, ").replace("Input should", "must")


def dotted(location: Location) -> str:
    """Format a location for messages, such as `teachers.vgg16.path`."""
    return ".".join(map(str, location))


def _describe(
    detail: ErrorDetails, source: Source, model: type[BaseModel], base: Location
) -> tuple[Location, str]:
    """Return location and message of an error."""
    if detail["loc"] and detail["loc"][-1] == _KEY:
        *parent, name = (*base, *detail["loc"][:-1])
        return (*parent, name), f"{dotted(tuple(parent))}: the name {name!r} {sentence(detail)}."
    where = tuple(part for part in detail["loc"] if not _is_tag(part))
    location = (*base, *where)
    renamed = _renamed(detail, model, where)
    if renamed:
        return location, f"{dotted(location)}: {renamed}"
    if detail["type"] == "extra_forbidden":
        fields = _names(_model_at(model, where[:-1]))
        hint = nearest(str(where[-1]), fields)
        known = f" Known: {join_names(fields)}." if fields else ""
        return location, f"{dotted(location)} is not a known field.{hint}{known}"
    if detail["type"] == "missing":
        return location, f"{dotted(location)} is missing."
    if detail["type"] == "string_type" and isinstance(detail["input"], bool | int | float | date):
        return _unquoted(location, source)
    words = sentence(detail).removesuffix(".")
    return location, f"{dotted(location)}{_received(detail)}: {words}.{_hint(detail)}"


def _renamed(detail: ErrorDetails, model: type[BaseModel], where: Location) -> str:
    """Say what a setting or a value is called now; empty if it was not renamed."""
    parent = _model_at(model, where[:-1]) if where else None
    if detail["type"] == "extra_forbidden":
        name = former(parent, "former_names").get(where[-1])
        return f"this setting is called {name} now." if name else ""
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        value = former(parent, "former_values").get(where[-1], {}).get(detail["input"])
        return f"the value {detail['input']} is called {value} now." if value else ""
    return ""


def former(model: type[BaseModel] | None, kind: str) -> dict[Any, Any]:
    """Return what was renamed in a section or settings class: old names mapped to new names.

    `model` is the class; its base classes are included. If `model` is None, the result is empty.
    `kind` is `former_names` or `former_values`.
    """
    bases = model.__mro__[::-1] if model else ()
    return {old: new for base in bases for old, new in vars(base).get(kind, {}).items()}


def _is_tag(part: int | str) -> bool:
    """Whether a part of a location names a member of a union, like `pydantic.Tag("[name]")`.

    No field or name begins with a bracket.
    """
    return isinstance(part, str) and part.startswith("[")


def _unquoted(location: Location, source: Source) -> tuple[Location, str]:
    """Return location and message for a value, like `yes` or `0`, that YAML does not read as text.

    For an item of a list, the message shows the whole list with all items quoted.
    """
    parent = location[:-1] if isinstance(location[-1], int) else location
    items = [f'"{item}"' for item in _items(source, parent)]
    if items:
        location, right = parent, f"[{', '.join(items)}]"
    else:
        location = location if location in source.scalars else parent
        right = f'"{source.scalars.get(location)}"'
    name = next(part for part in reversed(location) if isinstance(part, str))
    return location, f"{dotted(location)}: must be text: put quotes, as in {name}: {right}."


def _items(source: Source, location: Location) -> Iterator[str]:
    number = 0
    while (*location, number) in source.scalars:
        yield source.scalars[*location, number]
        number += 1


def _follows(detail: ErrorDetails, others: list[ErrorDetails]) -> bool:
    """Tell whether a list counts as too short only because its items are wrong."""
    where = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(where) and other["loc"][: len(where)] == where for other in others
    )


def _hint(detail: ErrorDetails) -> str:
    if detail["type"] != "literal_error":
        return ""
    return nearest(str(detail["input"]), re.findall("'(.*?)'", detail["msg"]))


def _received(detail: ErrorDetails) -> str:
    value: object = detail["input"]
    if isinstance(value, dict | list | tuple):
        kind = "a mapping" if isinstance(value, dict) else "a list"
        return f" is {kind}" if detail["type"].endswith("_type") else ""
    text = "empty" if value is None else repr(value)
    return f" is {text if len(text) <= 60 else f'{text[:57]}…'}"


def _model_at(model: type[BaseModel], where: Location) -> type[BaseModel] | None:
    """Return the section or settings at a location in a model."""
    section: type[BaseModel] | None = model
    inside = False
    for part in where:
        fields = {field.alias or name: field for name, field in _fields(section)}
        if inside or part not in fields:  # a name that the user gave, a number, a union's member
            inside = False
            continue
        annotation: Any = fields[str(part)].annotation
        section = model_in(annotation)
        inside = get_origin(annotation) in (dict, list, tuple)
    return section


def _names(model: type[BaseModel] | None) -> list[str]:
    return [field.alias or name for name, field in _fields(model)]


def _fields(model: type[BaseModel] | None) -> Iterable[tuple[str, FieldInfo]]:
    return model.model_fields.items() if model else ()
