"""A recipe that is built in code, with the same sections as in a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

from pydantic import ValidationError

from pupila.digest import digest_json, short_digest
from pupila.errors import PupilaError
from pupila.plain import plain, unwritable
from pupila.store import write_atomically
from pupila_flows.api.workspace import PathLike
from pupila_flows.recipe import env, schema
from pupila_flows.recipe.errors import dotted, explain
from pupila_flows.recipe.overrides import Changes
from pupila_flows.recipe.source import Problem, RecipeError, parse_source, read_source, write_text
from pupila_flows.registry.addresses import resolve_address
from pupila_flows.teachers import PREFIX
from pupila_flows.workspace import Workspace

Section = Mapping[str, Any]

_TEACHER, _REGISTRY = ("teachers", "*", "path"), ("publish", "to")
PATHS = (
    ("data", "path"),
    _TEACHER,
    ("evaluate", "open_set", "path"),
    ("external", "*", "path"),
    ("external", "*", "folder"),
    ("runner", "tls", "*"),
    _REGISTRY,
)
"""Locations of everything that is taken from the folder of a recipe; `*` stands for any name."""


class Recipe:
    """A run: data, teachers, and a graph of steps.

    Arguments are the sections of a recipe file (see docs/reference.md), as dictionaries with the
    same names. Relative paths are taken from the folder in which the recipe is built.
    """

    def __init__(
        self,
        *,
        name: str,
        data: Section,
        steps: Mapping[str, Section],
        teachers: Mapping[str, Section] | None = None,
        seed: int | None = None,
        repeat: int | None = None,
        workers: int | None = None,
        threads: int | None = None,
        requires: Sequence[str] | None = None,
        runner: Section | None = None,
        evaluate: Section | None = None,
        shift: Section | None = None,
        external: Mapping[str, Section] | None = None,
        gate: Section | None = None,
        publish: Section | None = None,
        sweep: Mapping[str, Sequence[Any]] | None = None,
        choose_by: str | None = None,
    ) -> None:
        """Check the names and types of all sections; what they name is checked by a run.

        Raises:
            PupilaError: a section is invalid; the message says which setting is, line by line.
        """
        given = {key: value for key, value in locals().items() if key != "self"}
        sections = {key: value for key, value in given.items() if value is not None}
        self._value = as_yaml(sections, "the recipe")
        self._folder = Path.cwd()
        with without_file():
            _check(self.to_yaml())

    @classmethod
    def from_file(cls, file: PathLike) -> Self:
        """Read a recipe file; its relative paths stay relative to its folder.

        Raises:
            PupilaError: the file cannot be read, or its sections are invalid.
        """
        path = Path(file)
        source = read_source(path)
        _check(source.text, path)
        recipe = cls.__new__(cls)
        recipe._value, recipe._folder = source.value, path.absolute().parent
        return recipe

    @property
    def name(self) -> str:
        return self._value["name"]

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the steps."""
        return tuple(self._value["steps"])

    @property
    def folder(self) -> Path:
        """Folder from which relative paths are taken."""
        return self._folder

    def to_yaml(self, *, absolute: bool = False) -> str:
        """Return the recipe as the text of a file, which may lie anywhere if paths are absolute."""
        value = self._value
        return write_text(_with_absolute_paths(value, self._folder) if absolute else value)

    def __repr__(self) -> str:
        return f"Recipe {self.name!r}: {', '.join(self.steps)}"


def write_recipe(recipe: Recipe, workspace: Workspace) -> Path:
    """Write a recipe into a workspace, with absolute paths, and return its file."""
    text = recipe.to_yaml(absolute=True)
    file = f"{recipe.name}-{short_digest(digest_json(text))}.yaml"
    path = workspace.root / "recipes" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
    return path


def with_absolute_paths(changes: Changes, recipe: Recipe) -> Changes:
    """Return changes whose relative paths are taken from the folder of a recipe, as its own are."""
    return Changes.model_validate(_with_absolute_paths(changes.given(), recipe.folder))


@contextmanager
def without_file() -> Generator[None]:
    """Inside the `with` block, name settings instead of lines in the mistakes of a recipe."""
    try:
        yield
    except RecipeError as error:
        raise PupilaError("\n".join(map(_with_setting, error.problems))) from None


def _with_setting(problem: Problem) -> str:
    setting = dotted(problem.location)
    return problem.message if setting in problem.message else f"{setting}: {problem.message}"


def _check(text: str, file: Path = Path("recipe")) -> None:
    source = parse_source(file, text)
    try:
        schema.Recipe.model_validate(source.value)
    except ValidationError as error:
        raise RecipeError(explain(error, source, schema.Recipe)) from None


def as_yaml(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return values with texts for paths, and lists and numbers for those of NumPy.

    `where` says in the message what has the values.

    Raises:
        PupilaError: a value cannot stand in a recipe.
    """
    values = plain(_with_texts(value))
    if wrong := unwritable(values):
        raise PupilaError(f"In {where}, {wrong}.")
    return values


def _with_texts(value: Any) -> Any:
    match value:
        case os.PathLike():
            return os.fspath(cast("os.PathLike[str]", value))
        case Mapping():
            section = cast("Mapping[Any, Any]", value)
            return {str(name): _with_texts(item) for name, item in section.items()}
        case list() | tuple():
            return [_with_texts(item) for item in cast("list[Any]", value)]
        case _:
            return value


def _with_absolute_paths(value: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return sections in which every path that is relative to a folder is absolute."""
    for location in PATHS:
        value = _changed(value, location, partial(_absolute, location=location, folder=folder))
    return value


def _changed(value: Any, location: tuple[str, ...], change: Callable[[str], str]) -> Any:
    if not location:
        return change(value) if isinstance(value, str) else value
    if not isinstance(value, dict):
        return value
    first, *rest = location
    section = cast("dict[str, Any]", value)
    return section | {
        name: _changed(section[name], tuple(rest), change) for name in _named(section, first)
    }


def _named(section: dict[str, Any], name: str) -> Iterator[str]:
    return iter(section if name == "*" else section.keys() & {name})


def _absolute(text: str, location: tuple[str, ...], folder: Path) -> str:
    """Return the absolute path that a text at a location means, as in a recipe file."""
    is_name = location == _TEACHER and text.startswith(PREFIX)
    if is_name or env.unset(text):
        return text
    expanded = env.expand(text)
    if location != _REGISTRY:
        absolute = str(folder / expanded)
    else:
        absolute = resolve_address(expanded, folder) if expanded.strip() else expanded
    return text if absolute == expanded else absolute
