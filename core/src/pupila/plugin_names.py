"""Names of plugins: which ones clash, and how a name says which package is meant.

A plugin has a name, such as `distill`, and a qualified name, `pupila-distill/distill`. Either may
be written in a recipe, unless several distributions have a plugin of that name and kind: then only
the qualified names may be written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name

from pupila.errors import join_names
from pupila.plugin import Technique
from pupila.plugin_loading import RegisteredPlugin
from pupila.requirements import CORE

_PROGRAM = (CORE, "pupila-flows")
"""Distributions of the program itself: their plugins keep their names, as nothing works without."""
_TITLES = {"step": "technique or exporter", "runner": "runtime"}


@dataclass(frozen=True)
class NameClash:
    """A name that several distributions gave to plugins of one kind."""

    namespace: str
    name: str
    distributions: tuple[str, ...]

    @property
    def owner(self) -> str | None:
        """The distribution that the name alone stands for: core or flows; None if it is neither."""
        return next((who for who in self.distributions if who in _PROGRAM), None)

    def __str__(self) -> str:
        owners = join_names(self.distributions)
        names = [qualified(who, self.name) for who in self.distributions if who != self.owner]
        own = f"; {self.name!r} alone is that of {self.owner}" if self.owner else ""
        return (
            f"Several packages have a {title(self.namespace)} named {self.name!r} ({owners}): "
            f"write {' or '.join(map(repr, names))}{own}."
        )


def title(namespace: str) -> str:
    """Return what messages call the plugins of a namespace."""
    return _TITLES.get(namespace, namespace)


def qualified(distribution: str, name: str) -> str:
    """Return a plugin's name with its distribution, as in `pupila-distill/distill`."""
    return f"{canonicalize_name(distribution)}/{name.rpartition('/')[2]}"


def normalized(name: str) -> str:
    """Return a name as `qualified` writes it, however its distribution is spelt."""
    distribution = name.rpartition("/")[0]
    return qualified(distribution, name) if distribution else name


def find_clashes(entries: Iterable[RegisteredPlugin]) -> tuple[NameClash, ...]:
    """Return the names that several distributions use, in the order of the entries."""
    owners: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        key = (entry.plugin.namespace(), entry.plugin.name)
        owners.setdefault(key, []).append(entry.distribution)
    return tuple(NameClash(*key, tuple(who)) for key, who in owners.items() if len(who) > 1)


def qualify(
    entries: Iterable[RegisteredPlugin], clashes: Sequence[NameClash]
) -> tuple[RegisteredPlugin, ...]:
    """Return the entries with qualified names where names clash, so that all names differ.

    The plugins of core and of flows keep their names. The control of a technique is that of its own
    distribution, if that has one of this name.
    """
    owners = {(clash.namespace, clash.name): clash.distributions for clash in clashes}

    def unique(entry: RegisteredPlugin, namespace: str, name: str) -> str:
        is_own = entry.distribution in owners.get((namespace, name), ())
        keeps = entry.distribution in _PROGRAM
        return qualified(entry.distribution, name) if is_own and not keeps else name

    def renamed(entry: RegisteredPlugin) -> RegisteredPlugin:
        plugin = entry.plugin
        names = {"name": unique(entry, plugin.namespace(), plugin.name)}
        if isinstance(plugin, Technique) and plugin.control:
            names["control"] = unique(entry, "step", plugin.control)
        return replace(entry, plugin=replace(plugin, **names))

    return tuple(map(renamed, entries)) if clashes else tuple(entries)
