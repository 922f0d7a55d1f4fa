"""Facts for the checks: a recipe's text, its valid sections, and the files that it names.

A fact is determined once, when a check first needs it. Every check that needs a fact also yields
the mistakes in that fact, so no mistake is overlooked and no check depends on another check.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from pupila import layout
from pupila.data_source import ReaderChoice
from pupila.dataset_readers import reader_of
from pupila.errors import PupilaError
from pupila.paths import is_special, slash_hint
from pupila.plugin import CLASSIFICATION, Task
from pupila.plugin_registry import PluginRegistry, installed
from pupila_flows.data.open_set.near_misses import list_near_misses
from pupila_flows.plan.plan import PlannedExternal
from pupila_flows.plan.readers import choose_reader, labels_at, listing_at
from pupila_flows.plan.view import RecipeView
from pupila_flows.recipe import env
from pupila_flows.recipe.reader import ReaderSection
from pupila_flows.recipe.schema import Recipe
from pupila_flows.recipe.source import Location, Source
from pupila_flows.recipe.tls import TlsFiles
from pupila_flows.registry.addresses import (
    VARIABLE,
    address_from_environment,
    check_address,
    resolve_address,
    without_password,
)
from pupila_flows.teachers import TeacherStore

if TYPE_CHECKING:
    import pandas as pd

ValueT = TypeVar("ValueT")

Mistake = tuple[Location, str]
"""Location of a mistake in the recipe, and a message."""
Checking = Generator[Mistake, None, ValueT]
"""Generator that yields mistakes and returns a value: `value = yield from checking`."""


@dataclass(frozen=True)
class Fact(Generic[ValueT]):
    """A value determined from a recipe, and the mistakes that were found in doing so."""

    value: ValueT
    mistakes: tuple[Mistake, ...]

    def check(self) -> Checking[ValueT]:
        """Yield the mistakes found while the value was determined, and return the value.

        The mistakes are the same objects in each call, so that the checker can report them once.
        """
        yield from self.mistakes
        return self.value


def find_out(checking: Checking[ValueT]) -> Fact[ValueT]:
    """Run a generator of mistakes to its end; return its value together with the mistakes."""
    mistakes: list[Mistake] = []
    while True:
        try:
            mistakes.append(next(checking))
        except StopIteration as end:
            return Fact(end.value, tuple(mistakes))


@dataclass(frozen=True)
class NamedFiles:
    """A recipe, and the files and addresses that it names besides its images."""

    source: Source
    view: RecipeView
    recipe: Recipe | None
    """The validated recipe; None if any of its fields is wrong."""
    plugins: PluginRegistry
    teacher_store: TeacherStore | None
    cache: Path | None = None
    """Folder below which a reader of the data may write image files."""

    @cached_property
    def tls(self) -> Fact[TlsFiles | None]:
        """Certificates for the cluster; None if the recipe names none."""
        return find_out(self._tls())

    @cached_property
    def cluster(self) -> Fact[str | None]:
        """Address of the cluster's scheduler, which is not contacted; None if there is none."""
        return find_out(self._cluster())

    @cached_property
    def model_registry(self) -> Fact[str | None]:
        """Address of the registry that `publish` names; None if `publish` names none.

        The registry is not contacted.
        """
        return find_out(self._model_registry())

    def existing_path(self, text: str, location: Location, what: str) -> Checking[Path | None]:
        """Return the path that a text in the recipe names; None if nothing there can be read.

        A relative path starts from the folder of the recipe. `location` is where the text stands in
        the recipe, and `what` is the word for the expected files in messages.
        """
        expanded = yield from self.expand_variables(text, location)
        if expanded is None:
            return None
        path = self.source.file.parent / expanded
        reason = _unreadable(path, what)
        if reason:
            yield location, reason
        return None if reason else path

    def expand_variables(self, text: str, location: Location) -> Checking[str | None]:
        """Return a text with its environment variables replaced; None if a variable is not set."""
        unset = env.unset(text)
        for name, state in unset.items():
            yield (
                location,
                f"environment variable {name} is {state}: set it, or write ${{{name}:-default}}.",
            )
        return None if unset else env.expand(text)

    def _cluster(self) -> Checking[str | None]:
        if self.recipe is None or self.recipe.runner is None:
            return None
        return (yield from self.expand_variables(self.recipe.runner.address, ("runner", "address")))

    def _tls(self) -> Checking[TlsFiles | None]:
        section = self.recipe.runner.tls if self.recipe and self.recipe.runner else None
        if section is None:
            return None
        files: list[Path] = []
        for name, text in section.model_dump().items():
            path = yield from self.existing_path(text, ("runner", "tls", name), "TLS file")
            files += [path.resolve()] if path else []
        return TlsFiles(*files) if len(files) == len(TlsFiles._fields) else None

    def _model_registry(self) -> Checking[str | None]:
        section, location = self.recipe.publish if self.recipe else None, ("publish", "to")
        if section is None:
            return None
        if not section.to:
            yield from _registry_here()
            return None
        expanded = yield from self.expand_variables(section.to, location)
        if expanded is None:
            return None
        if not expanded.strip():
            yield (
                location,
                f"{section.to!r} is empty: set its variables, or leave `to` out.",
            )
            return None
        return (yield from _address(section.to, expanded, self.source.file.parent.resolve()))


@dataclass(frozen=True)
class RecipeFacts(NamedFiles):
    """A recipe, and what is known of its data and of the files and addresses that it names."""

    @cached_property
    def task(self) -> Fact[Task | None]:
        """What the labels of the data mean; None if no such task is installed."""
        return find_out(_task_of(self.view))

    @property
    def task_name(self) -> str:
        """Name of the data's task, or of the default one if that is not known."""
        task = self.task.value
        return task.name if task else CLASSIFICATION

    @cached_property
    def reader(self) -> Fact[ReaderChoice | None]:
        """What reads the data; None if the recipe names a reader that cannot."""
        section = self.view.data.section.reader if self.view.data else None
        return find_out(self._choice(section, ("data", "reader")))

    @cached_property
    def data(self) -> Fact[Path | None]:
        """Path of the data; None if nothing there can be read."""
        return find_out(self._data())

    @cached_property
    def manifest(self) -> Fact[pd.DataFrame | None]:
        """Table of the images; None if it cannot be read."""
        return find_out(self._manifest())

    @cached_property
    def found_labels(self) -> Fact[tuple[str, ...] | None]:
        """Labels of the images, from folders or the CSV; None if they cannot be read.

        In tasks without classes, they are the texts of all labels.
        """
        return find_out(self._found_labels())

    @cached_property
    def labels(self) -> Fact[tuple[str, ...]]:
        """Classes of the data, or the names of what its labels are about; empty if unknown."""
        return find_out(self._labels())

    @cached_property
    def near_misses(self) -> Fact[Path | None]:
        """Path of the images of other kinds; None if the recipe names none."""
        return find_out(self._near_misses())

    @cached_property
    def external(self) -> Fact[tuple[PlannedExternal, ...]]:
        """The external sets whose images can be listed."""
        return find_out(self._external())

    def _data(self) -> Checking[Path | None]:
        if self.view.data is None:
            return None
        location = ("data", "path")
        path = yield from self.existing_path(self.view.data.section.path, location, "images")
        choice = yield from self.reader.check()
        if path is None or choice is None:
            return None
        try:
            reader_of(path, choice)
        except PupilaError as error:
            yield location, str(error)
            return None
        return path

    def _choice(
        self, section: ReaderSection | None, location: Location
    ) -> Checking[ReaderChoice | None]:
        return choose_reader(self.plugins, self.source, section, location, self.cache)

    def _manifest(self) -> Checking[pd.DataFrame | None]:
        path = yield from self.data.check()
        labels = yield from self.found_labels.check()
        choice = self.reader.value
        if path is None or labels is None or choice is None:
            return None
        from pupila import manifest  # and pandas with it

        try:
            return manifest.read(path, self.task_name, _given_classes(self.view), choice)
        except PupilaError as error:
            yield ("data", "path"), str(error)
            return None

    def _found_labels(self) -> Checking[tuple[str, ...] | None]:
        path = yield from self.data.check()
        task = yield from self.task.check()
        choice = self.reader.value
        if path is None or task is None or choice is None:
            return None
        return (yield from labels_at(path, task.name, _given_classes(self.view), choice))

    def _labels(self) -> Checking[tuple[str, ...]]:
        labels = yield from self.found_labels.check()
        path, task = self.data.value, self.task.value
        choice = self.reader.value
        if path and task and choice and labels is not None:
            return layout.names(path, task.name, _given_classes(self.view), choice) or labels
        return _given_classes(self.view) or (task.default_classes if task else ())

    def _near_misses(self) -> Checking[Path | None]:
        section = self.recipe.evaluate.open_set if self.recipe else None
        if section is None or section.path is None:
            return None
        location = ("evaluate", "open_set", "path")
        path = yield from self.existing_path(section.path, location, "near misses")
        try:
            if path:
                list_near_misses(path)
        except PupilaError as error:
            yield location, str(error)
        return path

    def _external(self) -> Checking[tuple[PlannedExternal, ...]]:
        planned: list[PlannedExternal] = []
        sections = self.recipe.external if self.recipe else {}
        for name, section in sections.items():
            location = ("external", name)
            path = yield from self.existing_path(section.path, (*location, "path"), "images")
            folder = None
            if section.folder:
                folder = yield from self.existing_path(
                    section.folder, (*location, "folder"), "images"
                )
            choice = yield from self._choice(section.reader, (*location, "reader"))
            if path is None or choice is None or (section.folder and folder is None):
                continue
            names = self.labels.value if self.found_labels.value else _given_classes(self.view)
            listing = yield from listing_at(
                path, folder, section.split, self.task_name, names, choice, location
            )
            planned += [PlannedExternal(name, section, listing)] if listing else []
        return tuple(planned)


def _task_of(view: RecipeView) -> Checking[Task | None]:
    """Return the task of the data; None if it is not installed."""
    name = view.data.section.task if view.data else CLASSIFICATION
    try:
        return installed().task(name)
    except PupilaError as error:
        yield ("data", "task"), str(error)
        return None


def _given_classes(view: RecipeView) -> tuple[str, ...] | None:
    return view.data.section.classes if view.data else None


def _address(text: str, expanded: str, folder: Path) -> Checking[str | None]:
    """Return the address of the registry that `publish.to` names; None if it is wrong.

    `expanded` is its `text` with environment variables replaced. A relative path starts from
    `folder`.
    """
    location, fixed = ("publish", "to"), env.remove_variables(text)
    if without_password(fixed) != fixed:
        yield (
            location,
            f"{without_password(text)!r} contains a password, and the recipe is published with the "
            f"models: write ${{VARIABLE}} in its place.",
        )
    try:
        address = resolve_address(expanded, folder)
        check_address(address)
    except PupilaError as error:
        yield location, str(error)
        return None
    return address


def _registry_here() -> Iterator[Mistake]:
    """Yield what is wrong with the registry that the environment names."""
    try:
        if address := address_from_environment():
            check_address(address)
    except PupilaError as error:
        yield ("publish",), f"{VARIABLE} is wrong. {error}"


def _unreadable(path: Path, what: str) -> str | None:
    """Say why a path cannot be read; None if it can."""
    try:
        if not path.exists():
            return f"no {what} at {str(path)!r}: give an existing path.{slash_hint(path)}"
        if is_special(path):
            return f"{str(path)!r} is a pipe or a device: no {what} can be read from it."
        if path.is_file() and path.stat().st_size == 0:
            return f"{str(path)!r} is an empty file: no {what} can be read from it."
        if not os.access(path, os.R_OK):
            return f"{str(path)!r} may not be read: change its permissions."
    except OSError as error:
        return f"no {what} at {str(path)!r} ({error.strerror}): give an existing path."
    return None
