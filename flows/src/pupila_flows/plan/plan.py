"""From a recipe file to a plan that can run: every mistake is found here, at once, with its line.

Nothing is imported that a step would need: checking a recipe takes a fraction of a second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pydantic import BaseModel, ValidationError

from pupila.artifact import Artifact
from pupila.contract import OutputContract
from pupila.errors import PupilaError, nearest
from pupila.plugin import Config, StepPlugin, Technique
from pupila.registry import Registry, installed
from pupila.store import is_artifact, read_artifact
from pupila_flows.data import exclude as parts
from pupila_flows.data.open_set import near_misses
from pupila_flows.plan import class_rules as other_classes
from pupila_flows.plan.checks import gate as checks
from pupila_flows.recipe import env as variables
from pupila_flows.recipe.errors import dotted, explain
from pupila_flows.recipe.overrides import Changes, changed
from pupila_flows.recipe.schema import (
    DataSection,
    Recipe,
    ScreenSection,
    StepSection,
    TeacherSection,
)
from pupila_flows.recipe.source import Location, Problem, RecipeError, Source, read_source
from pupila_flows.registry.addresses import check_address, resolved
from pupila_flows.teachers import PREFIX, Shelf, ShelvedTeacher

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Plan", "PlannedStep", "PlannedTeacher", "Problem", "RecipeError", "read_plan"]

SectionT = TypeVar("SectionT", bound=BaseModel)
_ADDRESS = re.compile(r"(tcp|tls)://\S+:\d+")


@dataclass(frozen=True)
class PlannedTeacher:
    """A teacher whose file exists and is known by a loader, or is an artifact already."""

    name: str
    path: Path
    format: str
    contract: OutputContract
    artifact: Artifact | None = None
    """Where it lies elsewhere; None where there is a model file to be read."""


@dataclass(frozen=True)
class PlannedStep:
    """A step whose plugin, settings and inputs fit."""

    name: str
    section: StepSection
    plugin: StepPlugin
    config: Config
    control: StepPlugin | None
    """What trains alike without a teacher, where there is such a thing and it is wanted."""


@dataclass(frozen=True)
class Plan:
    """A checked recipe; `steps` stand in an order in which they can run."""

    file: Path
    text: str
    recipe: Recipe
    data: Path
    teachers: tuple[PlannedTeacher, ...]
    steps: tuple[PlannedStep, ...]
    near_misses: Path | None = None
    """Images of other kinds on which every artifact is judged as a gate."""
    address: str | None = None
    """Scheduler of the cluster that steps run on; None where they run on this machine."""
    registry: str | None = None
    """Where `publish` says that it publishes to; None where it says nothing, or there is none."""

    def bound(self, teacher: str) -> str | None:
        """Say why a teacher must tell the classes of the data apart; None where it need not."""
        inputs = {step.name: step.section.inputs for step in self.steps}
        plugins = {step.name: step.plugin for step in self.steps}
        screen = self.recipe.data.screen
        return other_classes.bound(teacher, inputs, plugins, screens=_screens(screen, teacher))

    @property
    def reads(self) -> tuple[Path, ...]:
        """What every machine that a step runs on must see."""
        return self.data, *(teacher.path for teacher in self.teachers)

    def swept(self, step: str) -> dict[str, tuple[str, ...]]:
        """Return the setting's path by each key of `sweep` that speaks of a step."""
        split = {key: split_key(key, self.recipe.steps) for key in self.recipe.sweep}
        return {key: path for key, (name, path) in split.items() if name == step}


def split_key(key: str, steps: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Split `step.setting` (names of steps may have dots, settings lie in settings).

    Raises:
        PupilaError: it begins with the name of no step.
    """
    found = [name for name in steps if key.startswith(f"{name}.")]
    if not found:
        first = key.partition(".")[0]
        raise PupilaError(
            f"{key!r} must be `step.setting`, and there is no step {first!r}."
            f"{nearest(first, steps)}"
        )
    step = max(found, key=len)
    return step, tuple(key.removeprefix(f"{step}.").split("."))


def configured(step: PlannedStep, changes: Mapping[tuple[str, ...], Any]) -> Config:
    """Return a step's settings with some of them replaced, by path.

    Raises:
        ValidationError: they cannot be so.
    """
    config = step.config.model_dump()
    for path, value in changes.items():
        within = config
        for name in path[:-1]:
            within[name] = _mapping(within.get(name))
            within = within[name]
        within[path[-1]] = value
    return step.plugin.config.model_validate(config)


def planned_artifact(name: str, path: Path, registry: Registry) -> PlannedTeacher:
    """Return a teacher that is an artifact, of another workspace or published.

    Raises:
        PupilaError: it was altered, or no installed plugin runs its format.
    """
    artifact = read_artifact(path)
    registry.runner(artifact.format)
    return PlannedTeacher(name, path, artifact.format, artifact.record.output, artifact)


def contradictions(
    section: TeacherSection, contract: OutputContract, whose: str = "the artifact's"
) -> Iterator[tuple[str, str]]:
    """Yield each field that says of a model what a record of it does not, and a sentence."""
    said: dict[str, tuple[object, object]] = {}
    if section.classes not in (None, contract.classes):
        said["classes"] = list(section.classes), list(contract.classes)
    if "output" in section.model_fields_set and section.output != contract.kind:
        said["output"] = section.output, contract.kind
    for name, (given, recorded) in said.items():
        reason = f"{given!r} is not what {whose} record says, {recorded!r}"
        yield name, f"{name}: {reason}: leave it out."


def read_plan(
    file: Path,
    registry: Registry | None = None,
    changes: Changes | None = None,
    shelf: Shelf | None = None,
) -> Plan:
    """Read and check a recipe file.

    Paths in it are relative to its folder; `${NAME}` and `${NAME:-default}` stand for environment
    variables.

    Args:
        file: The recipe.
        registry: The plugins that there are; by default those installed.
        changes: What one run does otherwise than the file says.
        shelf: Where the teachers lie that the recipe takes from a shelf.

    Raises:
        RecipeError: with every mistake found.
        PupilaError: there is no such file.
    """
    source = read_source(file)
    source = changed(source, changes) if changes else source
    recipe, problems = None, list[Problem]()
    try:
        recipe = Recipe.model_validate(source.value)
    except ValidationError as error:
        problems = explain(error, source, Recipe)
    checker = _Checker(source, _Parts.of(source.value), registry or installed(), shelf, problems)
    return checker.plan(recipe)


@dataclass(frozen=True)
class _Part(Generic[SectionT]):
    """A section, without those of its fields that are wrong."""

    section: SectionT
    whole: bool
    """Whether nothing was left out."""

    def says(self, field: str) -> bool:
        """Tell whether a field's value is meant, and no stand-in for one that was left out."""
        return self.whole or field in self.section.model_fields_set


def _part(model: type[SectionT], value: Any) -> _Part[SectionT] | None:
    """Read a section; None where too much of it is wrong."""
    try:
        return _Part(model.model_validate(value), whole=True)
    except ValidationError as error:
        wrong = {found["loc"][0] for found in error.errors() if found["loc"]}
    left = {name: each for name, each in _mapping(value).items() if name not in wrong}
    try:
        return _Part(model.model_validate(left), whole=False)
    except ValidationError:
        return None


def _parts(model: type[SectionT], value: Any) -> dict[str, _Part[SectionT]]:
    parts = ((name, _part(model, each)) for name, each in _mapping(value).items())
    return {name: part for name, part in parts if part}


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


@dataclass(frozen=True)
class _Parts:
    """What is right in a recipe, so that it can be checked whatever is wrong with the rest."""

    data: _Part[DataSection] | None
    teachers: dict[str, _Part[TeacherSection]]
    steps: dict[str, _Part[StepSection]]
    names: frozenset[str] | None
    """All teachers and steps, right or wrong; None where they are not known."""

    @classmethod
    def of(cls, value: dict[str, Any]) -> _Parts:
        teachers, steps = value.get("teachers", {}), value.get("steps", {})
        misspelt = value.keys() - Recipe.model_fields.keys()
        known = not misspelt and isinstance(teachers, dict) and isinstance(steps, dict)
        return cls(
            data=_part(DataSection, value.get("data")),
            teachers=_parts(TeacherSection, teachers),
            steps=_parts(StepSection, steps),
            names=frozenset(_mapping(teachers)) | frozenset(_mapping(steps)) if known else None,
        )


@dataclass
class _Checker:
    """Gathers the problems that only show when the whole recipe is seen."""

    source: Source
    parts: _Parts
    registry: Registry
    shelf: Shelf | None
    problems: list[Problem]
    misfits: set[str] = field(default_factory=set[str])
    """Steps whose settings and inputs were already told not to fit."""

    def plan(self, recipe: Recipe | None) -> Plan:
        data = self._data
        teachers = list(self._teachers())
        steps = {step.name: step for step in self._steps()}
        told = self._told_classes(teachers)
        self._check_classes(told, steps)
        self._check_screen(told)
        self._check_without(steps)
        near = self._open_set(recipe) if recipe else None
        address = self._address(recipe) if recipe else None
        to = self._publish(recipe) if recipe else None
        self._check_hard_negatives()
        order = self._order()
        if recipe is not None:
            self._check_sweep(recipe, steps)
            self._check_runtimes(recipe)
            self._check_gate(recipe, steps)
        formats = {each.name: each.format for each in teachers}
        self._check_formats(order, formats, steps)
        if recipe is not None and not self.problems:
            self._check_uses(recipe, formats)
        if self.problems or recipe is None or data is None:
            raise RecipeError(self.problems)
        planned = tuple(steps[name] for name in order)
        given = tuple(teachers)
        return Plan(
            self.source.file, self.source.text, recipe, data, given, planned, near, address, to
        )

    def _problem(self, location: Location, message: str) -> None:
        self.problems.append(self.source.problem(location, message))

    @cached_property
    def _data(self) -> Path | None:
        """Path of the data; None, and a problem, where there is nothing to be read."""
        if self.parts.data is None:
            return None
        location = ("data", "path")
        path = self._path(self.parts.data.section.path, location, "images")
        if path and not path.is_dir() and path.suffix.lower() != ".csv":
            self._problem(location, f"{str(path)!r} is neither a folder of images nor a .csv file.")
            return None
        return path

    @cached_property
    def _manifest(self) -> pd.DataFrame | None:
        """What the data lists; None where it cannot be read, and a problem where it is there."""
        if self._data is None:
            return None
        from pupila import manifest  # and pandas with it

        try:
            return manifest.read(self._data)
        except PupilaError as error:
            self._problem(("data", "path"), str(error))
            return None

    @cached_property
    def _labels(self) -> tuple[str, ...]:
        """Classes of the data; none where they cannot be known."""
        given = self.parts.data.section.classes if self.parts.data else None
        if given or self._manifest is None:
            return given or ()
        return tuple(sorted(set(self._manifest["label"].tolist()) - {""}))

    def _path(self, written: str, location: Location, what: str) -> Path | None:
        """Return a path at which there is something; None, and a problem, where there is not."""
        expanded = self._expanded(written, location)
        if expanded is None:
            return None
        path = self.source.file.parent / expanded
        reason = _unreadable(path, what)
        if reason:
            self._problem(location, reason)
        return None if reason else path

    def _expanded(self, written: str, location: Location) -> str | None:
        """Return a text with the values of its variables; None, and a problem, without one."""
        unset = variables.unset(written)
        for name, state in unset.items():
            self._problem(
                location,
                f"environment variable {name} is {state}: set it, or write ${{{name}:-default}}.",
            )
        return None if unset else variables.expanded(written)

    def _address(self, recipe: Recipe) -> str | None:
        """Return the address of the cluster, which is not asked here."""
        if recipe.runner is None:
            return None
        if find_spec("distributed") is None:
            self._problem(
                ("runner", "use"),
                "Dask is not installed: `pip install 'pupila-flows[dask]'`, here and there.",
            )
        location = ("runner", "address")
        address = self._expanded(recipe.runner.address, location)
        if address is not None and not _ADDRESS.fullmatch(address):
            self._problem(
                location, f"address is {address!r}: give that of a scheduler, like tcp://host:8786."
            )
        return address

    def _publish(self, recipe: Recipe) -> str | None:
        """Return the registry that the recipe names; it is not asked here."""
        section = recipe.publish
        if section is None:
            return None
        for number, name in enumerate(section.artifacts):
            if name not in recipe.steps:
                self._problem(
                    ("publish", "artifacts", number),
                    f"{name!r} is no step: only what a step made is published."
                    f"{nearest(name, recipe.steps)}",
                )
        expanded = self._expanded(section.to, ("publish", "to")) if section.to else None
        if expanded is None:
            return None
        if not expanded.strip():
            self._problem(
                ("publish", "to"),
                f"{section.to!r} comes to an empty text: set its variables, or leave `to` out.",
            )
            return None
        try:
            check_address(expanded)
        except PupilaError as error:
            self._problem(("publish", "to"), str(error))
        return resolved(expanded, self.source.file.parent.resolve())

    def _teachers(self) -> Iterator[PlannedTeacher]:
        for name, part in self.parts.teachers.items():
            location = ("teachers", name)
            if name in self.parts.steps:
                self._problem(location, f"a teacher and a step are both named {name!r}.")
            try:
                shelved = self._shelved(part.section.path)
                path = (
                    shelved.path
                    if shelved
                    else self._path(part.section.path, (*location, "path"), "model")
                )
                if path is None:
                    continue
                found = self._teacher(name, part, path, shelved and shelved.record.contract)
            except PupilaError as error:
                self._problem((*location, "path"), str(error))
                continue
            if found:
                yield found

    def _shelved(self, path: str) -> ShelvedTeacher | None:
        """Return the teacher of a path like `shelf:big`; None for another; raise its refusal."""
        if not path.startswith(PREFIX):
            return None
        if self.shelf is None:
            raise PupilaError(f"{path!r} lies on the shelf of a workspace, and none was named.")
        return self.shelf.current(path.removeprefix(PREFIX))

    def _teacher(
        self,
        name: str,
        part: _Part[TeacherSection],
        path: Path,
        recorded: OutputContract | None,
    ) -> PlannedTeacher | None:
        """Return a teacher, or None where something else about it was told; raise its refusal."""
        location, section = ("teachers", name), part.section
        if recorded or is_artifact(path):
            planned = (
                planned_artifact(name, path, self.registry)
                if is_artifact(path) or recorded is None
                else PlannedTeacher(name, path, self._format(path, recorded), recorded)
            )
            whose = "the shelf's" if recorded else "the artifact's"
            for field_name, message in contradictions(section, planned.contract, whose):
                self._problem((*location, field_name), message)
            return planned
        if section.classes is None:
            classes = (*location, "classes")
            if part.whole or classes not in self.source.lines:
                self._problem(classes, f"{dotted(classes)} is missing.")
            return None
        contract = OutputContract(kind=section.output, classes=section.classes)
        return PlannedTeacher(name, path, self._format(path, contract), contract)

    def _format(self, path: Path, contract: OutputContract) -> str:
        """Return the format in which a model would be read; raise what its loader refuses."""
        try:
            loader = self.registry.loader(path)
        except OSError as error:
            raise PupilaError(f"{str(path)!r} cannot be read: {error.strerror}.") from None
        if not loader.produces:
            loader.load()(path, contract, path.parent)
        return loader.produces

    def _told_classes(self, teachers: Iterable[PlannedTeacher]) -> dict[str, tuple[str, ...]]:
        """Return the classes of each teacher that the recipe, or the teacher's record, names."""
        recorded = {each.name: each.contract.classes for each in teachers}
        written = {name: part.section.classes for name, part in self.parts.teachers.items()}
        told = {name: written[name] or recorded.get(name) for name in written}
        return {name: classes for name, classes in told.items() if classes}

    def _check_classes(
        self, told: Mapping[str, tuple[str, ...]], steps: Mapping[str, PlannedStep]
    ) -> None:
        """Data and teachers must speak of the same classes, gates excepted; so must the rest."""
        data = self.parts.data.section if self.parts.data else None
        reasons = self._reasons(told, steps)
        first, known = ("data", "classes"), data.classes if data else None
        if not known:
            name = next(iter(reasons), "")
            first, known = ("teachers", name, "classes"), told.get(name)
        if not known:
            return
        for name, reason in reasons.items():
            location = ("teachers", name, "classes")
            if set(told[name]) != set(known):
                self._problem(
                    location,
                    f"{dotted(location)} are {list(told[name])}, but {dotted(first)} are "
                    f"{list(known)}: name the same ones, in any order, since {reason}.",
                )
        if data and data.positive not in (None, *known):
            self._problem(
                ("data", "positive"),
                f"positive is {data.positive!r}, which is none of the classes "
                f"{list(known)}.{nearest(str(data.positive), known)}",
            )

    def _reasons(self, told: Iterable[str], steps: Mapping[str, PlannedStep]) -> dict[str, str]:
        """Say of each teacher that must tell the classes of the data apart why it must."""
        inputs = {name: part.section.inputs for name, part in self.parts.steps.items()}
        plugins = {name: step.plugin for name, step in steps.items()}
        reasons = {
            name: other_classes.bound(name, inputs, plugins, screens=_screens(self._screen, name))
            for name in told
        }
        return {name: reason for name, reason in reasons.items() if reason}

    @property
    def _screen(self) -> ScreenSection | None:
        return self.parts.data.section.screen if self.parts.data else None

    def _check_screen(self, told: Mapping[str, tuple[str, ...]]) -> None:
        screen, teachers = self._screen, _mapping(self.source.value.get("teachers"))
        if screen is None or self.parts.names is None:
            return
        location = ("data", "screen")
        if screen.teacher not in teachers:
            self._problem(
                (*location, "teacher"),
                f"{screen.teacher!r} is no teacher.{nearest(screen.teacher, teachers)}",
            )
        classes = told.get(screen.teacher)
        if classes and screen.accepts not in classes:
            self._problem(
                (*location, "accepts"),
                f"accepts is {screen.accepts!r}, but {screen.teacher!r} tells {list(classes)} "
                f"apart.{nearest(screen.accepts, classes)}",
            )

    def _check_without(self, steps: Mapping[str, PlannedStep]) -> None:
        """What a step is not shown must be there, and must leave something of every class."""
        partial = {name: step for name, step in steps.items() if step.section.without}
        if not partial or self._manifest is None:
            return
        for name, step in partial.items():
            location = ("steps", name, "without")
            if not step.plugin.needs_data:
                self._problem(location, f"{step.plugin.name} is shown no images: leave it out.")
                continue
            for place, message in parts.mistakes(self._manifest, step.section.without):
                self._problem((*location, *place), f"{dotted(location)}: {message}")

    def _open_set(self, recipe: Recipe) -> Path | None:
        """Return where near misses lie; check them, and that there is a gate to be judged."""
        section, location = recipe.evaluate.open_set, ("evaluate", "open_set")
        if section is None:
            return None
        classes = self._labels
        if classes and len(classes) != 2:
            self._problem(
                location,
                f"a gate tells two classes apart, but the data has {list(classes)}: leave "
                f"open_set out, or use data of two classes.",
            )
        elif classes and section.accepts not in classes:
            self._problem(
                (*location, "accepts"),
                f"accepts is {section.accepts!r}, which is none of the classes {list(classes)}."
                f"{nearest(section.accepts, classes)}",
            )
        if section.path is None:
            return None
        place = (*location, "path")
        path = self._path(section.path, place, "near misses")
        try:
            if path:
                near_misses.listed(path)
        except PupilaError as error:
            self._problem(place, str(error))
        return path

    def _check_hard_negatives(self) -> None:
        section = self.parts.data.section.hard_negatives if self.parts.data else None
        classes = self._labels if section else ()
        if section and classes and section.label not in classes:
            self._problem(
                ("data", "hard_negatives", "label"),
                f"label is {section.label!r}, which is none of the classes {list(classes)}."
                f"{nearest(section.label, classes)}",
            )

    def _steps(self) -> Iterator[PlannedStep]:
        for name, part in self.parts.steps.items():
            location, section = ("steps", name), part.section
            try:
                plugin = self.registry.step(section.use)
            except PupilaError as error:
                self._problem((*location, "use"), str(error))
                continue
            counted = part.says("inputs") and self._has_its_count(location, section, plugin)
            control = self._control(location, section, plugin)
            config = self._config(location, part, plugin)
            speaks = config and self._speaks((*location, "with"), config)
            fits = counted and config and self._fits((*location, "with"), config, section)
            if not (speaks and fits):
                self.misfits.add(name)
            if config:
                yield PlannedStep(name, section, plugin, config, control)

    def _config(
        self, location: Location, part: _Part[StepSection], plugin: StepPlugin
    ) -> Config | None:
        """Return a step's settings; None where they are wrong."""
        try:
            return plugin.config.model_validate(part.section.config)
        except ValidationError as error:
            if part.says("config"):
                where = (*location, "with")
                self.problems += explain(error, self.source, plugin.config, where)
            return None

    def _fits(self, location: Location, config: Config, section: StepSection) -> bool:
        """Tell whether settings fit the number of inputs."""
        try:
            config.check_inputs(len(section.inputs))
        except PupilaError as error:
            self._problem(location, str(error))
            return False
        return True

    def _speaks(self, location: Location, config: Config) -> bool:
        """Tell whether settings speak of the data's classes, where these are known."""
        if type(config).check_classes is Config.check_classes or not self._labels:
            return True  # and where no setting asks, the data need not be read
        try:
            config.check_classes(self._labels)
        except PupilaError as error:
            self._problem(location, str(error))
            return False
        return True

    def _has_its_count(self, location: Location, section: StepSection, plugin: StepPlugin) -> bool:
        """Tell whether a step has as many inputs as its plugin takes."""
        given, least, most = len(section.inputs), plugin.min_inputs, plugin.max_inputs
        fits = given >= least and (most is None or given <= most)
        if not fits:
            wanted = f"{least}" if most == least else f"{least} to {most}" if most else f"{least}+"
            inputs = "input" if wanted == "1" else "inputs"
            self._problem(
                (*location, "from"),
                f"{plugin.name} takes {wanted} {inputs} in `from`, not {given}.",
            )
        return fits

    def _control(
        self, location: Location, section: StepSection, plugin: StepPlugin
    ) -> StepPlugin | None:
        """Return the technique that is to stand beside a step."""
        if not (isinstance(plugin, Technique) and plugin.control and section.control):
            return None
        try:
            return self.registry.step(plugin.control)
        except PupilaError as error:
            hint = "Say `control: false` to do without it."
            self._problem((*location, "use"), f"{plugin.name} has a control. {error} {hint}")
            return None

    def _check_runtimes(self, recipe: Recipe) -> None:
        for number, name in enumerate(recipe.evaluate.runtimes):
            try:
                self.registry.runtime(name)
            except PupilaError as error:
                self._problem(("evaluate", "runtimes", number), str(error))

    def _check_gate(self, recipe: Recipe, steps: Mapping[str, PlannedStep]) -> None:
        if recipe.gate is None:
            return
        manifest = self._manifest if recipe.gate.by else None
        plugins = {name: step.plugin for name, step in steps.items()}
        inputs = {name: step.inputs for name, step in recipe.steps.items()}
        partial = {name for name, step in recipe.steps.items() if step.without}
        for place, message in checks.mistakes(
            recipe.gate,
            plugins,
            inputs,
            None if manifest is None else list(manifest.columns),
            partial=partial,
            publishes=recipe.publish is not None,
        ):
            self._problem(("gate", *place), message)
        named = recipe.publish.artifacts if recipe.publish else ()
        for number, message in checks.withheld(recipe.gate, named, plugins, inputs, partial):
            self._problem(("publish", "artifacts", number), message)

    def _check_uses(self, recipe: Recipe, formats: dict[str, str]) -> None:
        """A runtime in which nothing would be tried must not be taken for one that was."""
        for number, name in enumerate(recipe.evaluate.runtimes):
            runner = self.registry.runtime(name)
            if runner.format not in formats.values():
                self._problem(
                    ("evaluate", "runtimes", number),
                    f"{name} runs {runner.format}, and no teacher or step has that format: add an "
                    f"export to {runner.format}, or leave {name} out.",
                )

    def _check_sweep(self, recipe: Recipe, steps: dict[str, PlannedStep]) -> None:
        """Every value of every axis must be one that its setting can have, and there once."""
        known: dict[str, tuple[str, ...]] = {}
        for key, values in recipe.sweep.items():
            try:
                name, path = split_key(key, recipe.steps)
            except PupilaError as error:
                self._problem(("sweep", key), str(error))
                continue
            for other, whole in known.items():
                if _lies_within((name, *path), whole) or _lies_within(whole, (name, *path)):
                    nested = f"{other!r} and {key!r} speak of one setting: name one of them."
                    self._problem(("sweep", key), nested)
            known[key] = name, *path
            if name in steps:
                self._check_values(key, values, steps[name], path)

    def _check_values(
        self, key: str, values: Iterable[Any], step: PlannedStep, path: tuple[str, ...]
    ) -> None:
        """Values that come to the same settings would be one point under two names."""
        known: dict[str, Any] = {}
        for number, value in enumerate(values):
            where = ("sweep", key, number)
            try:
                config = configured(step, {path: value})
            except ValidationError as error:
                within = ("steps", step.name, "with")
                found = explain(error, self.source, step.plugin.config, within)
                self._problem(where, found[0].message)
                continue
            if step.name not in self.misfits:
                self._fits(where, config, step.section)
                self._speaks(where, config)
            made = config.model_dump_json()
            if made in known:
                same = f"{value!r} comes to the same setting as {known[made]!r}: name one of them."
                self._problem(where, same)
            known[made] = value

    def _order(self) -> list[str]:
        """Return step names so that each comes after its inputs; unknown inputs and cycles told."""
        steps, known = self.parts.steps, self.parts.names
        graph: dict[str, list[str]] = {}
        for name, part in steps.items():
            graph[name] = [each for each in part.section.inputs if each in steps]
            for each in part.section.inputs:
                if known is not None and each not in known:
                    self._problem(
                        ("steps", name, "from"),
                        f"{each!r} is neither a teacher nor a step.{nearest(each, known)}",
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
            given = [formats.get(each, "") for each in step.section.inputs]
            formats[name] = step.plugin.produces or (given[0] if given else "")
            if not step.plugin.accepts:
                continue  # it takes no input, which was told where one was given
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
            f"{step.plugin.name} works on {' or '.join(sorted(wanted))}, but "
            f"{given!r} is {have}.{hint}"
        )


def _screens(screen: ScreenSection | None, teacher: str) -> bool:
    return screen is not None and screen.teacher == teacher


def _lies_within(path: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    return path[: len(whole)] == whole


def _unreadable(path: Path, what: str) -> str | None:
    """Say why nothing can be read at a path; None where something can."""
    try:
        if not path.exists():
            return f"no {what} at {str(path)!r}: give an existing path."
        if path.is_file() and path.stat().st_size == 0:
            return f"{str(path)!r} is an empty file: no {what} can be read from it."
        if not os.access(path, os.R_OK):
            return f"{str(path)!r} may not be read: change its permissions."
    except OSError as error:
        return f"no {what} at {str(path)!r} ({error.strerror}): give an existing path."
    return None
