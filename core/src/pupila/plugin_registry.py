"""Finds plugins by entry point, once per process, and looks them up by kind and name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions
from importlib.metadata import distribution as distribution_of
from pathlib import Path
from typing import Any, TypeVar

from packaging.utils import canonicalize_name

from pupila.artifact import Artifact
from pupila.errors import PupilaError, join_names, nearest
from pupila.hookspecs import PROJECT
from pupila.paths import is_special
from pupila.plugin import (
    ANY_FORMAT,
    Loader,
    Plugin,
    Runner,
    Shift,
    StepPlugin,
    Student,
    Task,
    import_object,
)
from pupila.plugin_failures import naming
from pupila.plugin_loading import BrokenPlugin, RegisteredPlugin, load_entry_points
from pupila.plugin_names import NameClash, find_clashes, normalized, qualified, qualify, title
from pupila.requirements import CORE, versions
from pupila.result_plugins import Metric

PluginT = TypeVar("PluginT", bound=Plugin)
ResultT = TypeVar("ResultT")

RUNNERS_VARIABLE = "PUPILA_RUNNERS"
LOADERS_VARIABLE = "PUPILA_LOADERS"
IMAGES_VARIABLE = "PUPILA_IMAGES"
READERS_VARIABLE = "PUPILA_READERS"
_VARIABLES = (RUNNERS_VARIABLE, LOADERS_VARIABLE, IMAGES_VARIABLE, READERS_VARIABLE)
"""Environment variables with comma-separated names of runners, loaders, image formats and readers
of data sets. If several installed plugins fit, the named one is used."""


_OWN = (
    EntryPoint("classification", "pupila.classification", PROJECT),
    EntryPoint("conditions", "pupila.condition", PROJECT),
    EntryPoint("csv", "pupila.csv_manifest", PROJECT),
    EntryPoint("folder", "pupila.folder_layout", PROJECT),
    EntryPoint("pillow", "pupila.pillow_images", PROJECT),
    EntryPoint("shift", "pupila.shift", PROJECT),
)
"""Entry points of the core's own plugins, which are registered like any others."""


def preferred_plugins() -> dict[str, str]:
    """Return the preferred plugins, as `{environment variable: value or ""}`."""
    return {name: os.environ.get(name, "") for name in _VARIABLES}


@dataclass(frozen=True)
class PluginRegistry:
    """All installed plugins, and the entry points that failed to load."""

    plugins: tuple[RegisteredPlugin, ...]
    broken: tuple[BrokenPlugin, ...] = ()
    clashes: tuple[NameClash, ...] = field(init=False)
    """Names that several distributions gave to their plugins. In `plugins`, the names of these
    plugins begin with their distribution, so that all names differ."""
    _by_name: dict[tuple[str, str], RegisteredPlugin] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        formats, clashes = frozenset(self.formats()), find_clashes(self.plugins)
        plugins = tuple(_with_formats(entry, formats) for entry in qualify(self.plugins, clashes))
        table: dict[tuple[str, str], RegisteredPlugin] = {}
        for entry in plugins:
            for written in (entry.plugin.name, qualified(entry.distribution, entry.plugin.name)):
                table[entry.plugin.namespace(), written] = entry
        object.__setattr__(self, "plugins", plugins)
        object.__setattr__(self, "clashes", clashes)
        object.__setattr__(self, "_by_name", table)

    def origin(self, plugin: Plugin) -> RegisteredPlugin:
        """Return the entry of a plugin, with the distribution and version that it came from."""
        return self._by_name[plugin.namespace(), plugin.name]

    def calling(self, plugin: Plugin, *expected: type[Exception]) -> AbstractContextManager[None]:
        """Name the plugin in errors of its code, which the `with` block calls: see `naming`."""
        entry = self._by_name.get((plugin.namespace(), plugin.name))
        return naming(entry.title if entry else f"{plugin.kind} {plugin.name!r}", *expected)

    def _call(self, plugin: Plugin, function: Callable[..., ResultT], *arguments: Any) -> ResultT:
        with self.calling(plugin, OSError):  # an unreadable file is reported as such
            return function(*arguments)

    def code_of(self, *plugins: Plugin) -> tuple[str, ...]:
        """Return texts for a cache key: all code that the results of these plugins depend on.

        The texts contain the plugins' names, distributions and versions, the versions of the
        packages that the distributions and core require, and the texts of the plugins'
        `environment`.
        """
        entries = [self.origin(plugin) for plugin in plugins]
        return (
            *(f"{entry.plugin.name} of {entry.distribution} {entry.version}" for entry in entries),
            *(self._call(plugin, plugin.environment) for plugin in plugins if plugin.environment),
            *versions(CORE, *(entry.distribution for entry in entries)),
        )

    def all(self, kind: type[PluginT]) -> list[PluginT]:
        """Return every plugin of a kind, sorted by name."""
        plugins = [entry.plugin for entry in self.plugins if isinstance(entry.plugin, kind)]
        return sorted(plugins, key=lambda plugin: plugin.name)

    def step(self, name: str) -> StepPlugin:
        """Return the technique or exporter of that name.

        Raises:
            PupilaError: no technique or exporter of that name is installed, or several are.
        """
        return self.find(StepPlugin, name)

    def student(self, name: str) -> Student:
        """Return the student, a small architecture, of that name.

        Raises:
            PupilaError: no student of that name is installed.
        """
        return self.find(Student, name)

    def task(self, name: str) -> Task:
        """Return the task of that name.

        Raises:
            PupilaError: no task of that name is installed.
        """
        return self.find(Task, name)

    def shift(self, name: str) -> Shift:
        """Return the family of alterations of that name.

        Raises:
            PupilaError: no family of alterations of that name is installed.
        """
        return self.find(Shift, name)

    def metrics(self, task: str) -> list[Metric]:
        """Return the metrics that measure answers of a task, sorted by name."""
        return [metric for metric in self.all(Metric) if metric.fits(task)]

    def runner(self, format: str) -> Runner:
        """Return the runner that evaluates artifacts of this format.

        Raises:
            PupilaError: no runner of the format is installed, or several are and `PUPILA_RUNNERS`
                names none of them.
        """
        runners = [one for one in self.all(Runner) if one.primary and one.format == format]
        if runners:
            what = f"evaluate artifacts of format {format!r}"
            return self.only(runners, what, RUNNERS_VARIABLE)
        known = self.formats()
        raise PupilaError(
            f"No installed plugin runs artifacts of format {format!r}.{nearest(format, known)}"
            f" Installed: {join_names(known) or 'none'}.{self.skipped()}"
        )

    def formats(self) -> list[str]:
        """Return the formats of artifacts that can be evaluated, sorted by name."""
        return sorted({runner.format for runner in self.all(Runner) if runner.primary})

    def runtime(self, name: str) -> Runner:
        """Return the runner of that name, primary or not.

        Raises:
            PupilaError: no runner of that name is installed.
        """
        return self.find(Runner, name)

    def loader(self, source: Path) -> Loader:
        """Return the loader that recognises a model file, by content rather than name.

        Raises:
            PupilaError: the file is missing, no loader recognises it, or several do and
                `PUPILA_LOADERS` does not name one.
        """
        if not source.exists():
            raise PupilaError(f"No model at {str(source)!r}: give the path of an existing file.")
        if is_special(source):
            raise PupilaError(f"{str(source)!r} is a pipe or a device: give the path of a file.")
        loaders = [one for one in self.all(Loader) if self._call(one, one.recognises, source)]
        if loaders:
            return self.only(loaders, f"recognise {str(source)!r}", LOADERS_VARIABLE)
        known = ", ".join(loader.summary for loader in self.all(Loader)) or "no loader at all"
        raise PupilaError(
            f"{str(source)!r} is in no known model format. Installed: {known}.{self.skipped()}"
        )

    def check(self, artifact: Artifact) -> None:
        """Make sure that an artifact is safe to open: run the checks of all runners of its format.

        Call this before an artifact is imported, given to a step, or opened.

        Raises:
            PupilaError: the artifact would run code, or reach outside the model.
        """
        for runner in self.all(Runner):
            if runner.check and runner.format == artifact.format:
                with self.calling(runner):
                    import_object(runner.check)(artifact)

    def only(self, candidates: Sequence[PluginT], what: str, variable: str) -> PluginT:
        """Return the only candidate, or the only one that the environment variable names.

        Taking the first by name would not be safe: any package could then put itself in front.
        """
        value = os.environ.get(variable, "")
        named = [self.get(type(candidates[0]), name.strip()) for name in value.split(",")]
        preferred = [plugin for plugin in candidates if plugin in named]
        for plugins in (candidates, preferred):
            if len(plugins) == 1:
                return plugins[0]
        titles = [f"{plugin.name!r} of {self.origin(plugin).distribution}" for plugin in candidates]
        says = f" {variable} is {value!r} now." if value else ""
        raise PupilaError(
            f"{len(candidates)} {candidates[0].kind}s {what}: {join_names(titles)}. Uninstall all "
            f"but one, or name the one to use: {variable}={candidates[-1].name}.{says}"
        )

    def get(self, kind: type[PluginT], name: str) -> PluginT | None:
        """Return the plugin of a kind and a name, such as `distill` or `pupila-distill/distill`.

        None if no plugin, or more than one, has this name.
        """
        entry = self._by_name.get((kind.namespace(), normalized(name)))
        return entry.plugin if entry and isinstance(entry.plugin, kind) else None

    def find(self, kind: type[PluginT], name: str) -> PluginT:
        """Return the plugin of a kind and a name.

        Raises:
            PupilaError: there is none, its package is missing, or several packages have one.
        """
        plugin = self.get(kind, name)
        if plugin:
            return plugin
        for clash in self.clashes:
            if (clash.namespace, clash.name) == (kind.namespace(), name):
                raise PupilaError(str(clash))
        raise PupilaError(_unknown_name(self, kind, name))

    def skipped(self) -> str:
        """Return a list of the plugins that failed to load, as the end of an error message.

        The text is empty if no plugin failed.
        """
        return "".join(f" {broken}." for broken in self.broken)


@cache
def installed() -> PluginRegistry:
    """Return all plugins of the installed distributions; they are loaded at the first call."""
    return collect(_entry_points())


def of_package(name: str) -> PluginRegistry:
    """Return the plugins of one installed distribution, without those of others."""
    entries = [(owner, entry) for owner, entry in _entry_points() if owner.metadata["Name"] == name]
    return collect(entries)


def _entry_points() -> list[tuple[Distribution, EntryPoint]]:
    own = [(distribution_of(CORE), entry) for entry in _OWN]
    others = [
        (distribution, entry)
        for distribution in distributions()
        for entry in distribution.entry_points
        if entry.group == PROJECT
    ]
    return [*own, *others]


def collect(entries: Iterable[tuple[Distribution, EntryPoint]]) -> PluginRegistry:
    """Load entry points, and return their plugins.

    An entry point that fails becomes a `BrokenPlugin` and does not stop the others.
    """
    return PluginRegistry(*load_entry_points(entries))


def _unknown_name(registry: PluginRegistry, kind: type[Plugin], name: str) -> str:
    """Say that a name is not that of a plugin, or that its package is missing."""
    what, package = title(kind.namespace()), normalized(name).rpartition("/")[0]
    if package and package not in {canonicalize_name(e.distribution) for e in registry.plugins}:
        return (
            f"The package {package!r} of {name!r} is not installed, or has no plugin: install it, "
            f"or name another {what}.{registry.skipped()}"
        )
    names = [plugin.name for plugin in registry.all(kind)]
    return (
        f"No {what} named {name!r}.{nearest(name, names)}"
        f" Installed: {join_names(names) or 'none'}.{registry.skipped()}"
    )


def _with_formats(entry: RegisteredPlugin, formats: frozenset[str]) -> RegisteredPlugin:
    """Replace a step plugin's `ANY_FORMAT` with the formats that runners open."""
    plugin = entry.plugin
    if isinstance(plugin, StepPlugin) and plugin.accepts == ANY_FORMAT:
        return replace(entry, plugin=replace(plugin, accepts=formats))
    return entry
