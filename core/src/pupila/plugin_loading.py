"""Loads the entry points of plugins, and collects the descriptors that their hooks yield."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint
from typing import Any

import pluggy

from pupila.descriptors import descriptor_fault
from pupila.hookspecs import PROJECT, Hooks
from pupila.plugin import Plugin


@dataclass(frozen=True)
class RegisteredPlugin:
    """A plugin's descriptor, and the distribution that it came from."""

    plugin: Plugin
    distribution: str
    version: str

    @property
    def title(self) -> str:
        """The plugin's kind and name, its distribution and version, to begin a sentence."""
        kind, name = self.plugin.kind.capitalize(), self.plugin.name
        return f"{kind} {name!r} of {self.distribution} {self.version}"


@dataclass(frozen=True)
class BrokenPlugin:
    """An entry point that could not be imported, or whose hooks yielded no valid descriptors."""

    name: str
    distribution: str
    error: str
    version: str
    descriptor: str = ""
    """Kind and name of the one descriptor that is skipped; empty if all of the entry point are."""

    def __str__(self) -> str:
        what = self.descriptor or f"Plugin {self.name!r}"
        return f"{what} of {self.distribution} {self.version} is skipped: {self.error}"


def load_entry_points(
    entries: Iterable[tuple[Distribution, EntryPoint]],
) -> tuple[tuple[RegisteredPlugin, ...], tuple[BrokenPlugin, ...]]:
    """Load entry points, and return their plugins, and those entry points that failed."""
    plugins: list[RegisteredPlugin] = []
    broken: list[BrokenPlugin] = []
    seen: set[tuple[str, ...]] = set()
    for name, distribution, entry in _sorted(entries):
        if (name, entry.name) in seen:  # the same distribution twice on sys.path
            continue
        seen.add((name, entry.name))
        version = _metadata(distribution, "Version") or "unknown"
        try:
            module = entry.load()
            descriptors = list(_descriptors(module))
        except (Exception, SystemExit) as error:  # a third party's import may raise anything
            broken.append(BrokenPlugin(entry.name, name, _describe(error), version))
            continue
        for plugin in descriptors:
            fault, key = descriptor_fault(plugin), (name, plugin.namespace(), str(plugin.name))
            if fault is None and key in seen:
                fault = f"it yields {plugin.kind} {plugin.name!r} a second time: rename one of them"
            if fault:
                one = f"{plugin.kind.capitalize()} {plugin.name!r}"
                broken.append(BrokenPlugin(entry.name, name, fault, version, one))
                continue
            seen.add(key)
            plugins.append(RegisteredPlugin(plugin, name, version))
    return tuple(plugins), tuple(broken)


def _describe(error: BaseException) -> str:
    """Return an error with the last line of code that it came through."""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return f"{type(error).__name__}: {error} ({frame.f_code.co_filename}, line {line})"


def _sorted(
    entries: Iterable[tuple[Distribution, EntryPoint]],
) -> list[tuple[str, Distribution, EntryPoint]]:
    """Sort entry points by distribution and name; damaged metadata may lack a name."""
    named = [
        (_metadata(distribution, "Name") or "(unnamed)", distribution, entry)
        for distribution, entry in entries
    ]
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
                    raise TypeError(f"{name} yielded {plugin!r}, which is not a descriptor")
                yield plugin
