"""The settings of a recipe as a form: one field each, filled in with the recipe's values.

A field has the name of its setting, such as `seed` or `steps.pupil.epochs`. Fields that hold no
number, text, choice or list of these, such as `sweep`, are not in the form, and neither are steps
that the settings of another step add.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from pydantic import BaseModel

from pupila.errors import PupilaError, nearest
from pupila.plugin import Technique
from pupila_flows.plan.plan import Plan, PlannedStep
from pupila_flows.recipe.overrides import ADVANCED, Changes, merge, nest
from pupila_flows.recipe.source import parse_source

Schema = dict[str, Any]
"""A JSON schema."""

_UNCHANGEABLE = frozenset(("name", "requires", "use", "from", "against"))
"""Fields of the recipe and of its steps that make it another recipe."""
_FIRST_IF_WRITTEN = frozenset(("steps", "gate"))
"""Sections whose settings are not advanced if the recipe has them."""
_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "array": (list,),
}
"""Types of JSON that a field of a form can have, and of their values in Python."""


@dataclass(frozen=True)
class Setting:
    """A setting of a recipe, which a form can change."""

    name: str
    location: tuple[str, ...]
    """Where the setting is in the recipe."""
    value: Any
    """What the recipe says, as JSON; else the default."""
    schema: Schema
    advanced: bool
    around: dict[str, Any]
    """Other values of a section that the recipe leaves out, nested as in the recipe.

    Written with the setting, since its section would otherwise have other defaults.
    """


def settings_of(plan: Plan) -> dict[str, Setting]:
    """Return the settings of a recipe, by name."""
    written = parse_source(plan.file, plan.text).value
    settings: dict[str, Setting] = {}
    for leaf in _ordered(plan, written):
        name = _name(leaf.location)
        name = name if name not in settings else ".".join(leaf.location)
        settings[name] = _setting(name, leaf, written)
    return settings


def form_of(plan: Plan) -> Schema:
    """Return the JSON schema of a form for one run of a recipe; advanced settings are a group."""
    settings = settings_of(plan).values()
    first = {setting.name: setting.schema for setting in settings if not setting.advanced}
    rest = {setting.name: setting.schema for setting in settings if setting.advanced}
    group = {"type": "object", "title": ADVANCED, "properties": _placed(rest)}
    return {
        "type": "object",
        "title": "settings",
        "description": "What the recipe says; other values are for this run only. A field that is "
        "left empty keeps the recipe's value.",
        "properties": _placed(first | ({ADVANCED: group} if rest else {})),
    }


def changes_of_form(plan: Plan, changes: Changes) -> Changes:
    """Return changes without names of a form: only what differs from the recipe is left.

    Raises:
        PupilaError: the recipe has no setting of a name.
    """
    settings, given = settings_of(plan), changes.given()
    plain = {name: given.pop(name) for name in list(given) if name in settings}
    around: dict[str, Any] = {}
    for name, value in (plain | changes.by_name).items():
        setting = settings.get(name)
        if setting is None:
            raise PupilaError(
                f"{plan.file.name} has no setting {name!r}.{nearest(name, settings)} If the form "
                f"is older than the recipe, register the recipe again: `pupila station deploy "
                f"--recipe RECIPE`, or end the station and start it."
            )
        if value is not None and value != setting.value:
            around = merge(around, setting.around)
            given = merge(given, nest(setting.location, value))
    return Changes.model_validate(merge(around, given))


@dataclass(frozen=True)
class _Leaf:
    """A field of a section that is not a section; the attributes are those of `Setting`."""

    location: tuple[str, ...]
    value: Any
    schema: Schema
    around: dict[str, Any]


def _ordered(plan: Plan, written: Mapping[str, Any]) -> Iterator[_Leaf]:
    """Yield all fields in the order of the recipe; of a step, those of its plugin first."""
    of_recipe = list(_leaves(plan.recipe, (), written))
    for section in type(plan.recipe).model_fields:
        if section == "steps":
            for step in (step for step in plan.steps if _has(written, (section, step.name))):
                yield from _leaves(step.config, (section, step.name, "with"), written)
                of_step = (leaf for leaf in of_recipe if leaf.location[:2] == (section, step.name))
                yield from (leaf for leaf in of_step if _means_something(leaf, step))
        else:
            yield from (leaf for leaf in of_recipe if leaf.location[0] == section)


def _means_something(leaf: _Leaf, step: PlannedStep) -> bool:
    """Return whether a step has a setting: only what learns from a teacher can have a control."""
    has_control = isinstance(step.plugin, Technique) and step.plugin.control is not None
    return has_control or leaf.location[-1] != "control"


def _leaves(
    model: BaseModel,
    location: tuple[str, ...],
    written: Mapping[str, Any],
    around: Mapping[str, Any] | None = None,
) -> Iterator[_Leaf]:
    """Yield the fields of a section, and of the sections in it."""
    around = dict(around or {})
    values = model.model_dump(mode="json", by_alias=True)
    for name, field in type(model).model_fields.items():
        inner, alias = getattr(model, name), field.alias or name
        below = (*location, alias)
        if isinstance(inner, BaseModel):
            unlike = {} if _has(written, below) else _unlike_defaults(inner)
            beside = merge(around, nest(below, unlike)) if unlike else around
            yield from _leaves(inner, below, written, beside)
        elif _are_sections(inner):
            for key, section in inner.items():
                yield from _leaves(section, (*below, key), written, around)
        elif alias not in _UNCHANGEABLE and (schema := _field(type(model), alias, values[alias])):
            yield _Leaf(below, values[alias], schema, around)
    for name in model.model_extra or {}:  # margins and limits of packages
        yield _Leaf((*location, name), values[name], {"type": "number"}, around)


def _are_sections(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return any(isinstance(inner, BaseModel) for inner in cast("dict[str, Any]", value).values())


def _unlike_defaults(model: BaseModel) -> dict[str, Any]:
    """Return the fields of a section whose values are not the defaults of the section's class."""
    values = model.model_dump(mode="json", by_alias=True)
    return {
        field.alias or name: values[field.alias or name]
        for name, field in type(model).model_fields.items()
        if getattr(model, name) != field.get_default(call_default_factory=True, validated_data={})
    }


def _has(value: Any, location: tuple[str, ...]) -> bool:
    """Return whether a nested mapping has a value at a location."""
    for name in location:
        if not isinstance(value, dict) or name not in value:
            return False
        value = cast("dict[str, Any]", value)[name]
    return True


def _name(location: tuple[str, ...]) -> str:
    """Return a location as a name: a setting of a step's plugin has no `with` in it."""
    is_of_plugin = location[0] == "steps" and location[2] == "with"
    return ".".join((*location[:2], *location[3:]) if is_of_plugin else location)


def _setting(name: str, leaf: _Leaf, written: Mapping[str, Any]) -> Setting:
    schema = {**leaf.schema, "title": name}
    if leaf.value is not None:
        schema["default"] = leaf.value
    advanced = not _comes_first(leaf, written)
    return Setting(name, leaf.location, leaf.value, schema, advanced, leaf.around)


def _comes_first(leaf: _Leaf, written: Mapping[str, Any]) -> bool:
    """Return whether a setting is not advanced: seeds, epochs, margins, and what a recipe sets."""
    match leaf.location:
        case ("seed" | "repeat",) | ("steps", _, "with", "epochs"):
            return True
        case ("gate", "margins", _) | ("gate", "fidelity"):
            return leaf.value is not None
        case _:
            return leaf.location[0] in _FIRST_IF_WRITTEN and _has(written, leaf.location)


def _placed(properties: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return properties with their order, which a database loses, as Prefect writes it."""
    fields = enumerate(properties.items())
    return {name: {**schema, "position": position} for position, (name, schema) in fields}


def _field(model: type[BaseModel], name: str, value: Any) -> Schema | None:
    """Return the schema of a field, of the one type that its value has; None if no form has it."""
    whole = _schema_of(model)
    field = whole["properties"][name]
    kinds = [_kind(kind, whole, value) for kind in _kinds(field, whole)]
    kind = next(filter(None, kinds), None)
    described = {key: field[key] for key in ("description",) if key in field}
    return kind and {**kind, **described}


@cache
def _schema_of(model: type[BaseModel]) -> Schema:
    return model.model_json_schema(by_alias=True)


def _kinds(schema: Schema, whole: Schema) -> Iterator[Schema]:
    """Yield the schemas between which a field can choose."""
    if "$ref" in schema:
        yield from _kinds(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    elif choices := schema.get("anyOf") or schema.get("oneOf"):
        for choice in choices:
            yield from _kinds(choice, whole)
    else:
        yield schema


def _kind(schema: Schema, whole: Schema, value: Any) -> Schema | None:
    """Return a schema without what a form does not show; None if the value has another type."""
    kind = schema.get("type")
    if kind not in _TYPES or "const" in schema:
        return None
    if value is not None and not _is_a(value, kind):
        return None
    if kind == "array" and not _holds_scalars(schema, whole):
        return None
    return {key: schema[key] for key in schema if key not in ("title", "description", "default")}


def _is_a(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")


def _holds_scalars(schema: Schema, whole: Schema) -> bool:
    items: Schema | None = schema.get("items")
    kinds = list(_kinds(items, whole)) if items else []
    return len(kinds) == 1 and kinds[0].get("type") in _TYPES and "$ref" not in (items or {})
