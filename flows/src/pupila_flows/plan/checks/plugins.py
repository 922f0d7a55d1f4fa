"""Checks that each plugin that a run uses points to code that exists."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from pupila.dataset_readers import reader_of
from pupila.errors import PupilaError
from pupila.implementations import implementation_fault
from pupila.plugin import DataCheck, Plugin
from pupila.plugin_registry import PluginRegistry, installed
from pupila.result_plugins import GateCondition
from pupila_flows.plan.checks.runtimes import evaluated_formats
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.plan.plan import configure, split_key
from pupila_flows.recipe.source import Location

_Called = tuple[Location, Plugin, PluginRegistry]
"""Location in the recipe, the plugin that is used there, and the registry of this plugin."""


def code(context: Context) -> Iterator[Mistake]:
    """Check that the code of each plugin exists; report a plugin without code at its first use."""
    checked = set[tuple[str, str]]()
    for location, plugin, registry in _called(context):
        key = (plugin.kind, plugin.name)
        fault = None if key in checked else implementation_fault(plugin)
        checked.add(key)
        if fault:
            origin = registry.origin(plugin)
            yield (
                location,
                f"The code of {plugin.kind} {plugin.name!r} of {origin.distribution} "
                f"{origin.version} cannot be found: `implementation` is "
                f"{plugin.implementation!r}, and {fault}{'' if fault.endswith('?') else '.'} "
                f"Install it again, or repair the plugin.",
            )


def _called(context: Context) -> Iterator[_Called]:
    """Yield every plugin that the recipe uses, with the place of its use."""
    plugins = context.plugins
    yield from _inputs(context)
    for name, step in context.steps.value.by_name.items():
        for plugin in filter(None, (step.plugin, step.control)):
            yield ("steps", name, "use"), plugin, plugins
        for plugin in step.config.uses():
            yield ("steps", name, "with"), plugin, installed()
    for check in plugins.all(DataCheck):
        if check.can_check(context.task_name):
            yield ("data",), check, plugins
    yield from _swept(context)
    yield from _shifts(context)
    yield from _of_results(context)
    for location, made in evaluated_formats(context):
        try:
            yield location, plugins.runner(made), plugins
        except PupilaError:
            continue  # another check reports it
    for number, name in enumerate(context.recipe.evaluate.runtimes if context.recipe else ()):
        try:
            yield ("evaluate", "runtimes", number), plugins.runtime(name), plugins
        except PupilaError:
            continue


def _inputs(context: Context) -> Iterator[_Called]:
    """Yield the reader of the data, and the loaders of the teachers."""
    data, choice = context.data.value, context.reader.value
    if data and choice:
        yield ("data", "path"), reader_of(data, choice), context.plugins
    for teacher in context.teachers.value:
        if teacher.artifact is None:
            loader = context.plugins.loader(teacher.path)
            yield ("teachers", teacher.name, "path"), loader, context.plugins


def _shifts(context: Context) -> Iterator[_Called]:
    """Yield the plugins of the families of alterations that the recipe names."""
    section = context.recipe.shift if context.recipe else None
    for number, name in enumerate(section.families if section else ()):
        try:
            yield ("shift", "families", number), context.plugins.shift(name), context.plugins
        except PupilaError:
            continue  # another check reports it


def _of_results(context: Context) -> Iterator[_Called]:
    """Yield the metrics that all models are evaluated by, and what the gate's limits name."""
    for metric in context.plugins.metrics(context.task_name):
        yield ("evaluate",), metric, context.plugins
    gate = context.recipe.gate if context.recipe else None
    for condition in context.plugins.all(GateCondition):
        if gate and condition.name in gate.limits.asked:
            yield ("gate", "limits", condition.name), condition, context.plugins


def _swept(context: Context) -> Iterator[_Called]:
    """Yield the plugins that values of a sweep name, such as students."""
    recipe = context.recipe
    for key, values in recipe.sweep.items() if recipe else ():
        for number, value in enumerate(values):
            try:
                name, path = split_key(key, context.steps.value.by_name)
                config = configure(context.steps.value.by_name[name], {path: value})
            except (PupilaError, ValidationError):
                continue  # another check reports it
            for plugin in config.uses():
                yield ("sweep", key, number), plugin, installed()
