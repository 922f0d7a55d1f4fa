"""The valid sections of a recipe, which can be checked even if the rest is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, ValidationError

from pupila.plugin import CLASSIFICATION
from pupila_flows.plan.task_fields import faults_of_data, faults_of_teacher, find_task
from pupila_flows.recipe.errors import dotted
from pupila_flows.recipe.schema import DataSection, Recipe, StepSection, TeacherSection
from pupila_flows.recipe.source import Location

SectionT = TypeVar("SectionT", bound=BaseModel)


@dataclass(frozen=True)
class ValidSection(Generic[SectionT]):
    """A section without its wrong fields."""

    section: SectionT
    whole: bool
    """Whether every field was valid, so that none was left out."""

    def says(self, field: str) -> bool:
        """Whether a field has the recipe's value; False if a default may replace a wrong value."""
        return self.whole or field in self.section.model_fields_set


@dataclass(frozen=True)
class RecipeView:
    """The sections of a recipe that can be read, each without its wrong fields."""

    data: ValidSection[DataSection] | None
    teachers: dict[str, ValidSection[TeacherSection]]
    steps: dict[str, ValidSection[StepSection]]
    names: frozenset[str] | None
    """Names of all teachers and steps, valid or not; None if the names are unknown."""
    misfits: tuple[tuple[Location, str], ...] = ()
    """Location of each valid field that does not fit its task, and a message."""

    @classmethod
    def of(cls, value: dict[str, Any]) -> RecipeView:
        """Read the valid sections of a recipe."""
        teachers, steps = value.get("teachers", {}), value.get("steps", {})
        misspelt = value.keys() - Recipe.model_fields.keys()
        known = not misspelt and isinstance(teachers, dict) and isinstance(steps, dict)
        data = _valid_section(DataSection, value.get("data"))
        task = find_task(data.section.task if data else CLASSIFICATION)
        valid = _valid_sections(TeacherSection, teachers)
        wrong: dict[Location, dict[str, str]] = {}
        if data:
            wrong["data",] = dict(faults_of_data(data.section))
        for name, section in valid.items():
            wrong["teachers", name] = dict(faults_of_teacher(section.section, task))
        return cls(
            data=_without(data, wrong["data",]) if data else None,
            teachers={
                name: _without(section, wrong["teachers", name]) for name, section in valid.items()
            },
            steps=_valid_sections(StepSection, steps),
            names=frozenset(mapping(teachers)) | frozenset(mapping(steps)) if known else None,
            misfits=tuple(_misfits(wrong)),
        )


def _misfits(wrong: Mapping[Location, Mapping[str, str]]) -> Iterator[tuple[Location, str]]:
    for section, faults in wrong.items():
        for name, fault in faults.items():
            yield (*section, name), f"{dotted((*section, name))}{fault}"


def _without(valid: ValidSection[SectionT], fields: Mapping[str, str]) -> ValidSection[SectionT]:
    """Return a section without some of its fields."""
    if not fields:
        return valid
    given = valid.section.model_dump(exclude_unset=True)
    left = {name: value for name, value in given.items() if name not in fields}
    return ValidSection(type(valid.section).model_validate(left), whole=False)


def mapping(value: Any) -> dict[str, Any]:
    """Return a value if it is a mapping, else an empty mapping."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _valid_section(model: type[SectionT], value: Any) -> ValidSection[SectionT] | None:
    """Read a section without its wrong fields; None if it is invalid without them."""
    try:
        return ValidSection(model.model_validate(value), whole=True)
    except ValidationError as error:
        wrong = {detail["loc"][0] for detail in error.errors() if detail["loc"]}
    left = {name: field for name, field in mapping(value).items() if name not in wrong}
    try:
        return ValidSection(model.model_validate(left), whole=False)
    except ValidationError:
        return None


def _valid_sections(model: type[SectionT], value: Any) -> dict[str, ValidSection[SectionT]]:
    sections = ((name, _valid_section(model, section)) for name, section in mapping(value).items())
    return {name: section for name, section in sections if section}
