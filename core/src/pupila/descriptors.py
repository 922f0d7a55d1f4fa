"""Checks what a plugin declares about itself, when its descriptor is loaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from pupila.names import name_fault
from pupila.plugin import ANY_FORMAT, Plugin
from pupila.result_plugins import GateCondition, Metric, field_name_fault

_LONGEST = 80
"""Most characters of a wrong value that a message repeats."""


def descriptor_fault(plugin: Plugin) -> str | None:
    """Return what is wrong with a descriptor: the field, its value and what was expected.

    It is None if every field has its declared type, and names, formats and the locations of code
    are well formed.
    """
    hints = get_type_hints(type(plugin))
    for field in fields(plugin):
        value = getattr(plugin, field.name)
        if not _has_type(value, hints[field.name]):
            return _fault(plugin, field.name, str(field.type))
        rule = _RULES.get(field.name)
        if rule and value is not None and (expected := rule(value)):
            return _fault(plugin, field.name, expected)
    if isinstance(plugin, Metric | GateCondition) and (expected := field_name_fault(plugin.name)):
        return _fault(plugin, "name", expected)
    return None


def _fault(plugin: Plugin, field: str, expected: str) -> str:
    value = repr(getattr(plugin, field))
    value = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    return f"{plugin.kind} {plugin.name!r} has {field}={value}, where {expected} was expected"


def _has_type(value: object, hint: Any) -> bool:
    try:
        _adapter(hint).validate_python(value)
    except ValidationError:
        return False
    return True


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(strict=True, arbitrary_types_allowed=True))


def _name(text: str) -> str | None:
    fault = name_fault(text)
    return fault and f"a name of {fault.removeprefix('must be ')}"


def _summary(text: str) -> str | None:
    return None if text.strip() and len(text.splitlines()) == 1 else "one line of text"


def _location(text: str) -> str | None:
    module, _, attribute = text.partition(":")
    parts = (*module.split("."), attribute)
    return None if all(part.isidentifier() for part in parts) else "'module:attribute'"


def _format(text: str) -> str | None:
    return text and _name(text) and "the name of a format, such as 'keras', or ''"


def _formats(texts: Iterable[str]) -> str | None:
    named = set(texts) - ANY_FORMAT
    return "names of formats, such as 'keras'" if any(map(name_fault, named)) else None


def _suffixes(texts: Iterable[str]) -> str | None:
    is_suffix = re.compile(r"\.[^./\s]*[a-z_-][^./\s]*").fullmatch
    wrong = [text for text in texts if text != text.lower() or not is_suffix(text)]
    return "suffixes in small letters, such as '.dcm'" if wrong else None


_RULES: dict[str, Callable[[Any], str | None]] = {
    "name": _name,
    "summary": _summary,
    "implementation": _location,
    "training": _location,
    "stages": _location,
    "check": _location,
    "accepts": _formats,
    "produces": _format,
    "format": _name,
    "suffixes": _suffixes,
}
"""Rules by the name of a field: a function that returns what was expected, or None."""
