"""From a recipe file to a plan that can run: every mistake is found here, at once, with its line.

Nothing is imported that a step would need: checking a recipe takes a fraction of a second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from pupila.errors import PupilaError, nearest
from pupila.plugin import Config, StepPlugin, Technique
from pupila.registry import Registry, installed
from pupila_flows.recipe import Recipe, StepSection, TeacherSection

Location = tuple[str | int, ...]
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class Problem:
    """One mistake in a recipe."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class RecipeError(PupilaError):
    """A recipe that cannot run; `problems` holds every mistake that was found."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.line)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True)
class PlannedTeacher:
    """A teacher whose file exists and is known by a loader."""

    name: str
    section: TeacherSection
    path: Path
    format: str


@dataclass(frozen=True)
class PlannedStep:
    """A step whose plugin, settings and inputs fit."""

    name: str
    section: StepSection
    plugin: StepPlugin
    config: Config


@dataclass(frozen=True)
class Plan:
    """A checked recipe; `steps` stand in an order in which they can run."""

    file: Path
    text: str
    recipe: Recipe
    data: Path
    teachers: tuple[PlannedTeacher, ...]
    steps: tuple[PlannedStep, ...]

    def teacher_of(self, name: str) -> str | None:
        """Return the first teacher upstream of a node, or the node itself if it is one."""
        if name in self.recipe.teachers:
            return name
        found = (self.teacher_of(each) for each in self.recipe.steps[name].inputs)
        return next((each for each in found if each), None)


def read_plan(file: Path, registry: Registry | None = None) -> Plan:
    """Read and check a recipe file.

    Paths in it are relative to its folder; `${NAME}` and `${NAME:-default}` stand for environment
    variables.

    Raises:
        RecipeError: with every mistake found.
        PupilaError: there is no such file.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise PupilaError(f"No recipe at {str(file)!r}: give the path of a YAML file.") from None
    except UnicodeDecodeError:
        raise PupilaError(f"{str(file)!r} is no text: a recipe is a YAML file.") from None
    values, lines = _parse(file, text)
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(_explain(error, file, lines, Recipe)) from None
    return _Checker(file, recipe, lines, registry or installed()).plan(text)


@dataclass
class _Checker:
    """Gathers the problems that only show when the whole recipe is seen."""

    file: Path
    recipe: Recipe
    lines: Mapping[Location, int]
    registry: Registry
    problems: list[Problem] = field(default_factory=list[Problem])

    def plan(self, text: str) -> Plan:
        data = self._data()
        teachers = list(self._teachers())
        steps = {step.name: step for step in self._steps()}
        order = self._order()
        self._check_formats(order, {each.name: each.format for each in teachers}, steps)
        if self.problems:
            raise RecipeError(self.problems)
        planned = tuple(steps[name] for name in order)
        return Plan(self.file, text, self.recipe, data, tuple(teachers), planned)

    def _problem(self, location: Location, message: str) -> None:
        self.problems.append(Problem(self.file, _line(self.lines, location), message))

    def _data(self) -> Path:
        section = self.recipe.data
        path = self._path(section.path, ("data", "path"), "images")
        if section.classes and section.positive not in (None, *section.classes):
            self._problem(
                ("data", "positive"),
                f"positive is {section.positive!r}, which is none of the classes "
                f"{list(section.classes)}.{nearest(str(section.positive), section.classes)}",
            )
        return path

    def _path(self, written: str, location: Location, what: str) -> Path:
        path = self.file.parent / _expand(written)
        if not path.exists():
            self._problem(location, f"no {what} at {str(path)!r}: give an existing path.")
        return path

    def _teachers(self) -> Iterator[PlannedTeacher]:
        for name, section in self.recipe.teachers.items():
            location = ("teachers", name)
            if name in self.recipe.steps:
                self._problem(location, f"a teacher and a step are both named {name!r}.")
            path = self._path(section.path, (*location, "path"), "model")
            if not path.exists():
                continue
            try:
                loader = self.registry.loader(path)
            except PupilaError as error:
                self._problem((*location, "path"), str(error))
            else:
                yield PlannedTeacher(name, section, path, loader.produces)

    def _steps(self) -> Iterator[PlannedStep]:
        for name, section in self.recipe.steps.items():
            location = ("steps", name)
            try:
                plugin = self.registry.step(section.use)
            except PupilaError as error:
                self._problem((*location, "use"), str(error))
                continue
            self._check_count(location, section, plugin)
            try:
                config = plugin.config.model_validate(section.config)
            except ValidationError as error:
                where = (*location, "with")
                self.problems += _explain(error, self.file, self.lines, plugin.config, where)
            else:
                yield PlannedStep(name, section, plugin, config)

    def _check_count(self, location: Location, section: StepSection, plugin: StepPlugin) -> None:
        given, least, most = len(section.inputs), plugin.min_inputs, plugin.max_inputs
        if given < least or (most is not None and given > most):
            wanted = f"{least}" if most == least else f"{least} to {most}" if most else f"{least}+"
            self._problem(
                (*location, "from"), f"{plugin.name} takes {wanted} inputs in `from`, not {given}."
            )

    def _order(self) -> list[str]:
        """Return step names so that each comes after its inputs; unknown inputs and cycles told."""
        known = [*self.recipe.teachers, *self.recipe.steps]
        graph: dict[str, list[str]] = {}
        for name, section in self.recipe.steps.items():
            graph[name] = [each for each in section.inputs if each in self.recipe.steps]
            for each in section.inputs:
                if each not in known:
                    hint = nearest(each, known)
                    self._problem(
                        ("steps", name, "from"),
                        f"{each!r} is neither a teacher nor a step.{hint}",
                    )
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            loop: list[str] = error.args[1]
            self._problem(
                ("steps", loop[0], "from"), f"steps depend on each other: {' → '.join(loop[::-1])}."
            )
            return []

    def _check_formats(
        self, order: list[str], formats: dict[str, str], steps: dict[str, PlannedStep]
    ) -> None:
        """Follow formats along the graph; a mismatch names the step that is missing between."""
        for name in order:
            step = steps.get(name)
            if step is None:
                continue
            formats[name] = step.plugin.produces
            for each in step.section.inputs:
                have = formats.get(each)
                if have and have not in step.plugin.accepts:
                    self._problem(("steps", name, "from"), self._mismatch(step, each, have))

    def _mismatch(self, step: PlannedStep, given: str, have: str) -> str:
        wanted = step.plugin.accepts
        between = [
            plugin.name
            for plugin in self.registry.all(StepPlugin)
            if have in plugin.accepts and plugin.produces in wanted and plugin.produces != have
        ]
        hint = f" Put a step between that uses {' or '.join(between)}." if between else ""
        return (
            f"{step.plugin.name} works on {' or '.join(sorted(wanted)) or 'no model'}, but "
            f"{given!r} is {have}.{hint}"
        )


def is_control(step: PlannedStep) -> bool:
    """Tell whether a step trains a model from data alone, without a teacher."""
    return isinstance(step.plugin, Technique) and step.plugin.max_inputs == 0


def _expand(text: str) -> str:
    return _VARIABLE.sub(lambda match: os.environ.get(match[1]) or (match[2] or ""), text)


def _parse(file: Path, text: str) -> tuple[Any, dict[Location, int]]:
    """Return the YAML's value, and the line of every key and item."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError([Problem(file, line, f"not valid YAML: {error.problem}.")]) from None
    if not isinstance(root, yaml.MappingNode):
        raise RecipeError([Problem(file, 1, "a recipe is a mapping with `data` and `steps`.")])
    lines: dict[Location, int] = {}
    problems: list[Problem] = []
    _locate(root, (), file, lines, problems)
    if problems:
        raise RecipeError(problems)
    return yaml.safe_load(text), lines


def _locate(
    node: yaml.Node,
    location: Location,
    file: Path,
    lines: dict[Location, int],
    problems: list[Problem],
) -> None:
    """Note the line of a node and all below it; a key given twice is a problem."""
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _locate(item, (*location, number), file, lines, problems)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*location, str(key.value))
            line = key.start_mark.line + 1
            if here in lines:
                problems.append(Problem(file, line, f"{key.value!r} is given twice."))
            lines[here] = line
            _locate(value, here, file, lines, problems)


def _line(lines: Mapping[Location, int], location: Location) -> int:
    """Return the line of a location, or of the nearest part of it that is written."""
    while location and location not in lines:
        location = location[:-1]
    return lines.get(location, 1)


def _explain(
    error: ValidationError,
    file: Path,
    lines: Mapping[Location, int],
    model: type[BaseModel],
    base: Location = (),
) -> list[Problem]:
    """Turn pydantic's findings into problems with lines and nearest names."""
    problems: list[Problem] = []
    for found in error.errors(include_url=False):
        where = found["loc"]
        dotted = ".".join(str(part) for part in (*base, *where))
        if found["type"] == "extra_forbidden":
            fields = _fields_at(model, where[:-1])
            hint = nearest(str(where[-1]), fields)
            message = f"{dotted} is no known field.{hint} Known: {', '.join(fields)}."
        elif found["type"] == "missing":
            message = f"{dotted} is missing."
        else:
            reason = found["msg"].removeprefix("Value error, ")
            message = f"{dotted}: {reason} (got {_short(found['input'])})"
        problems.append(Problem(file, _line(lines, (*base, *where)), message))
    return problems


def _short(value: Hashable) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _fields_at(model: type[BaseModel], where: Location) -> list[str]:
    """Return the field names that may stand at a location below a model."""
    found: Any = model
    for part in where:
        if isinstance(found, type) and issubclass(found, BaseModel):
            fields = {field.alias or name: field for name, field in found.model_fields.items()}
            if part in fields:  # else it is a name that the user gave: a key of a mapping
                found = _model_in(fields[str(part)].annotation)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        return []
    return [field.alias or name for name, field in found.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    """Return the model inside `Model`, `Model | None` or `dict[str, Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(each) for each in get_args(annotation))
    return next((each for each in inner if each), None)
