"""Finds plugins by entry point, once per process, and looks them up by kind and name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions
from importlib.metadata import distribution as distribution_of
from pathlib import Path
from typing import Any, TypeVar

import pluggy

from pupila.artifact import Artifact
from pupila.errors import PupilaError, join_names, nearest
from pupila.hookspecs import PROJECT, Hooks
from pupila.paths import is_special
from pupila.plugin import (
    ANY_FORMAT,
    Loader,
    Plugin,
    Runner,
    Shift,
    StepPlugin,
    Student,
    import_object,
)
from pupila.requirements import CORE, versions

PluginT = TypeVar("PluginT", bound=Plugin)

RUNNERS_VARIABLE = "PUPILA_RUNNERS"
LOADERS_VARIABLE = "PUPILA_LOADERS"
"""Environment variables: names, with commas between them, of the runners or loaders that are meant
where several installed ones would do the same."""


_OWN = EntryPoint("shift", "pupila.shift", PROJECT)
"""What core itself brings, by the same door as everyone's."""


def preferred_plugins() -> dict[str, str]:
    """Return what the environment says of runners and loaders, by variable."""
    return {name: os.environ.get(name, "") for name in (RUNNERS_VARIABLE, LOADERS_VARIABLE)}


@dataclass(frozen=True)
class RegisteredPlugin:
    """A descriptor together with the distribution that brought it."""

    plugin: Plugin
    distribution: str
    version: str


@dataclass(frozen=True)
class BrokenPlugin:
    """An entry point that could not be imported or did not keep to its hook."""

    name: str
    distribution: str
    error: str

    def __str__(self) -> str:
        return f"Plugin {self.name!r} of {self.distribution} is skipped: {self.error}"


@dataclass(frozen=True)
class PluginRegistry:
    """All plugins that work, and those that do not."""

    plugins: tuple[RegisteredPlugin, ...]
    broken: tuple[BrokenPlugin, ...] = ()
    _by_name: dict[tuple[str, str], RegisteredPlugin] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        formats = frozenset(self.formats())
        plugins = tuple(_with_formats(entry, formats) for entry in self.plugins)
        object.__setattr__(self, "plugins", plugins)
        table: dict[tuple[str, str], RegisteredPlugin] = {}
        for entry in self.plugins:
            key = (_namespace(entry.plugin), entry.plugin.name)
            if key in table:
                raise PupilaError(
                    f"Two plugins are named {entry.plugin.name!r}: one of "
                    f"{table[key].distribution}, one of {entry.distribution}. Uninstall one."
                )
            table[key] = entry
        object.__setattr__(self, "_by_name", table)

    def origin(self, plugin: Plugin) -> RegisteredPlugin:
        """Return the entry that brought this descriptor."""
        return self._by_name[_namespace(plugin), plugin.name]

    def code_of(self, *plugins: Plugin) -> tuple[str, ...]:
        """Return all that results of these plugins depend on, as texts for a key.

        That is each by name, distribution and version, what those require, and what a plugin says
        of its `environment`.
        """
        entries = [self.origin(plugin) for plugin in plugins]
        return (
            *(f"{each.plugin.name} of {each.distribution} {each.version}" for each in entries),
            *(plugin.environment() for plugin in plugins if plugin.environment),
            *versions(CORE, *(each.distribution for each in entries)),
        )

    def all(self, kind: type[PluginT]) -> list[PluginT]:
        """Return every plugin of a kind, in order of name."""
        found = [entry.plugin for entry in self.plugins if isinstance(entry.plugin, kind)]
        return sorted(found, key=lambda plugin: plugin.name)

    def step(self, name: str) -> StepPlugin:
        """Return the technique or exporter of that name."""
        return self._find(StepPlugin, name, "technique or exporter")

    def student(self, name: str) -> Student:
        """Return the small architecture of that name."""
        return self._find(Student, name, "student")

    def shift(self, name: str) -> Shift:
        """Return the family of alterations of that name."""
        return self._find(Shift, name, "shift")

    def runner(self, format: str) -> Runner:
        """Return the runtime that judges artifacts of this format.

        Raises:
            PupilaError: there is none, or there are several and `PUPILA_RUNNERS` names none of
                them.
        """
        found = [each for each in self.all(Runner) if each.primary and each.format == format]
        if found:
            return self._the_one(found, f"judge artifacts of format {format!r}", RUNNERS_VARIABLE)
        known = self.formats()
        raise PupilaError(
            f"No installed plugin runs artifacts of format {format!r}.{nearest(format, known)}"
            f" Installed: {join_names(known) or 'none'}.{self.skipped()}"
        )

    def formats(self) -> list[str]:
        """Return the formats of artifacts that can be judged, in order of name."""
        return sorted({runner.format for runner in self.all(Runner) if runner.primary})

    def runtime(self, name: str) -> Runner:
        """Return the runtime of that name."""
        return self._find(Runner, name, "runtime")

    def loader(self, source: Path) -> Loader:
        """Return the loader that recognises a model file, by its content rather than its name.

        Raises:
            PupilaError: the file is missing, no loader knows it, or several do and
                `PUPILA_LOADERS` names none of them.
        """
        if not source.exists():
            raise PupilaError(f"No model at {str(source)!r}: give the path of an existing file.")
        if is_special(source):
            raise PupilaError(f"{str(source)!r} is a pipe or a device: give the path of a file.")
        found = [loader for loader in self.all(Loader) if loader.recognises(source)]
        if found:
            return self._the_one(found, f"recognise {str(source)!r}", LOADERS_VARIABLE)
        known = ", ".join(loader.summary for loader in self.all(Loader)) or "no loader at all"
        raise PupilaError(
            f"{str(source)!r} is in no known model format. Installed: {known}.{self.skipped()}"
        )

    def check(self, artifact: Artifact) -> None:
        """Refuse an artifact that is not safe to open, as the runners of its format judge it.

        Asked before an artifact is taken over, given to a step, or opened.

        Raises:
            PupilaError: it would run code, or reach outside the model.
        """
        for runner in self.all(Runner):
            if runner.check and runner.format == artifact.format:
                import_object(runner.check)(artifact)

    def _the_one(self, found: Sequence[PluginT], what: str, variable: str) -> PluginT:
        """Return the only plugin found, or the only one of them that the environment names.

        The first in order of name must not win: any package could then put itself in front.
        """
        written = os.environ.get(variable, "")
        named = {name.strip() for name in written.split(",")}
        meant = [plugin for plugin in found if plugin.name in named]
        for candidates in (found, meant):
            if len(candidates) == 1:
                return candidates[0]
        titles = [f"{each.name!r} of {self.origin(each).distribution}" for each in found]
        says = f" {variable} is {written!r} now." if written else ""
        raise PupilaError(
            f"{len(found)} {found[0].kind}s {what}: {join_names(titles)}. Uninstall all but one, "
            f"or name the one that is meant: {variable}={found[-1].name}.{says}"
        )

    def _find(self, kind: type[PluginT], name: str, title: str) -> PluginT:
        known = self.all(kind)
        for plugin in known:
            if plugin.name == name:
                return plugin
        names = [plugin.name for plugin in known]
        raise PupilaError(
            f"No {title} named {name!r}.{nearest(name, names)}"
            f" Installed: {join_names(names) or 'none'}.{self.skipped()}"
        )

    def skipped(self) -> str:
        """Say which plugins could not be loaded: what is missing may be in one of them."""
        return "".join(f" {broken}." for broken in self.broken)


@cache
def installed() -> PluginRegistry:
    """Return the plugins of this environment.

    Raises:
        PupilaError: two distributions bring plugins of one name.
    """
    brought = [
        (each, entry)
        for each in distributions()
        for entry in each.entry_points
        if entry.group == PROJECT
    ]
    return collect([(distribution_of(CORE), _OWN), *brought])


def collect(entries: Iterable[tuple[Distribution, EntryPoint]]) -> PluginRegistry:
    """Load entry points; one that fails is kept as `BrokenPlugin` and the others go on."""
    plugins: list[RegisteredPlugin] = []
    broken: list[BrokenPlugin] = []
    seen: set[tuple[str, str]] = set()
    for name, distribution, entry in _sorted(entries):
        if (name, entry.name) in seen:  # the same distribution twice on sys.path
            continue
        seen.add((name, entry.name))
        try:
            module = entry.load()
            found = list(_descriptors(module))
        except (Exception, SystemExit) as error:  # a third party's import may raise anything
            broken.append(BrokenPlugin(entry.name, name, f"{type(error).__name__}: {error}"))
            continue
        version = _metadata(distribution, "Version") or "unknown"
        plugins += [RegisteredPlugin(each, name, version) for each in found]
    return PluginRegistry(tuple(plugins), tuple(broken))


def _sorted(
    entries: Iterable[tuple[Distribution, EntryPoint]],
) -> list[tuple[str, Distribution, EntryPoint]]:
    """Put entry points in order of distribution and name; damaged metadata may have no name."""
    named = [(_metadata(each, "Name") or "(unnamed)", each, entry) for each, entry in entries]
    return sorted(named, key=lambda item: (item[0], item[2].name))


def _metadata(distribution: Distribution, field: str) -> str | None:
    try:
        return distribution.metadata[field]
    except FileNotFoundError:  # once anyone imports the backport importlib_metadata
        return None


def _descriptors(module: Any) -> Iterator[Plugin]:
    """Call every hook of one plugin module and check what it yields."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    manager.register(module)
    manager.check_pending()
    callers = manager.get_hookcallers(module) or []
    if not callers:
        raise TypeError(f"it implements no hook: mark its functions with `@{PROJECT}.hookimpl`")
    for name in (caller.name for caller in callers):
        answers = getattr(manager.hook, name)()
        if not answers:
            raise TypeError(f"{name} returned nothing: yield the descriptors, or return a list")
        for yielded in answers:
            for plugin in yielded:
                if not isinstance(plugin, Plugin):
                    raise TypeError(f"{name} yielded {plugin!r}, which is no descriptor")
                yield plugin


def _with_formats(entry: RegisteredPlugin, formats: frozenset[str]) -> RegisteredPlugin:
    """Put the formats that runners open in the place of `ANY_FORMAT`."""
    plugin = entry.plugin
    if isinstance(plugin, StepPlugin) and plugin.accepts == ANY_FORMAT:
        return replace(entry, plugin=replace(plugin, accepts=formats))
    return entry


def _namespace(plugin: Plugin) -> str:
    """Techniques and exporters share one: a recipe's `use` may name either."""
    return "step" if isinstance(plugin, StepPlugin) else plugin.kind
