"""Pydantic's findings in plain sentences, with lines and nearest names."""

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
"""Pydantic's last part of the location of a key."""


def explain(
    error: ValidationError, source: Source, model: type[BaseModel], base: Location = ()
) -> list[Problem]:
    """Turn what is wrong with the part of a recipe at `base` into problems, each told once."""
    found = mistakes(error, source, model, base)
    return [source.problem(location, message) for location, message in found]


def mistakes(
    error: ValidationError, source: Source, model: type[BaseModel], base: Location = ()
) -> list[tuple[Location, str]]:
    """Return where something is wrong with the part of a recipe at `base`, and a sentence each."""
    found = error.errors(include_url=False)
    told = dict(_told(each, source, model, base) for each in found if not _follows(each, found))
    return list(told.items())


def sentence(found: ErrorDetails) -> str:
    """Say what must be true of a value."""
    plain = _SENTENCES.get(found["type"])
    if plain:
        return plain.format(**found.get("ctx", {}))
    return found["msg"].removeprefix("Value error, ").replace("Input should", "must")


def dotted(location: Location) -> str:
    """Write a location as recipes are spoken of: `teachers.vgg16.path`."""
    return ".".join(map(str, location))


def _told(
    found: ErrorDetails, source: Source, model: type[BaseModel], base: Location
) -> tuple[Location, str]:
    """Return where a finding is to be told, and in what words."""
    if found["loc"] and found["loc"][-1] == _KEY:
        *parent, name = (*base, *found["loc"][:-1])
        return (*parent, name), f"{dotted(tuple(parent))}: the name {name!r} {sentence(found)}."
    where = tuple(part for part in found["loc"] if not _is_tag(part))
    location = (*base, *where)
    renamed = _renamed(found, model, where)
    if renamed:
        return location, f"{dotted(location)}: {renamed}"
    if found["type"] == "extra_forbidden":
        fields = _names(_model_at(model, where[:-1]))
        hint = nearest(str(where[-1]), fields)
        known = f" Known: {join_names(fields)}." if fields else ""
        return location, f"{dotted(location)} is no known field.{hint}{known}"
    if found["type"] == "missing":
        return location, f"{dotted(location)} is missing."
    if found["type"] == "string_type" and isinstance(found["input"], bool | int | float | date):
        return _unquoted(location, source)
    words = sentence(found).removesuffix(".")
    return location, f"{dotted(location)}{_received(found)}: {words}.{_hint(found)}"


def _renamed(found: ErrorDetails, model: type[BaseModel], where: Location) -> str:
    """Say how a setting or a value is called now; nothing where it was not renamed."""
    parent = _model_at(model, where[:-1]) if where else None
    if found["type"] == "extra_forbidden":
        name = former(parent, "former_names").get(where[-1])
        return f"this setting is called {name} now." if name else ""
    if found["type"] == "literal_error" and isinstance(found["input"], str):
        value = former(parent, "former_values").get(where[-1], {}).get(found["input"])
        return f"the value {found['input']} is called {value} now." if value else ""
    return ""


def former(model: type[BaseModel] | None, kind: str) -> dict[Any, Any]:
    """Return the `former_names` or `former_values` of a section or settings, with its bases'."""
    bases = model.__mro__[::-1] if model else ()
    return {old: new for base in bases for old, new in vars(base).get(kind, {}).items()}


def _is_tag(part: int | str) -> bool:
    """Whether it stands for a member of a union, as `pydantic.Tag("[name]")`; no name begins so."""
    return isinstance(part, str) and part.startswith("[")


def _unquoted(location: Location, source: Source) -> tuple[Location, str]:
    """Say that YAML takes `yes` or `0` for no text; once for a list, with all its items quoted."""
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


def _follows(found: ErrorDetails, others: list[ErrorDetails]) -> bool:
    """Tell whether a list counts as too short only because its items are wrong."""
    where = found["loc"]
    return found["type"] == "too_short" and any(
        len(other["loc"]) > len(where) and other["loc"][: len(where)] == where for other in others
    )


def _hint(found: ErrorDetails) -> str:
    if found["type"] != "literal_error":
        return ""
    return nearest(str(found["input"]), re.findall("'(.*?)'", found["msg"]))


def _received(found: ErrorDetails) -> str:
    value: object = found["input"]
    if isinstance(value, dict | list | tuple):
        kind = "a mapping" if isinstance(value, dict) else "a list"
        return f" is {kind}" if found["type"].endswith("_type") else ""
    text = "empty" if value is None else repr(value)
    return f" is {text if len(text) <= 60 else f'{text[:57]}…'}"


def _model_at(model: type[BaseModel], where: Location) -> type[BaseModel] | None:
    """Return the section or settings at a location below a model."""
    found: type[BaseModel] | None = model
    inside = False
    for part in where:
        fields = {field.alias or name: field for name, field in _fields(found)}
        if inside or part not in fields:  # a name that the user gave, a number, a union's member
            inside = False
            continue
        annotation: Any = fields[str(part)].annotation
        found = model_in(annotation)
        inside = get_origin(annotation) in (dict, list, tuple)
    return found


def _names(model: type[BaseModel] | None) -> list[str]:
    return [field.alias or name for name, field in _fields(model)]


def _fields(model: type[BaseModel] | None) -> Iterable[tuple[str, FieldInfo]]:
    return model.model_fields.items() if model else ()
